// Convolutions by plain loops, and rows of windows.
#pragma once
#include "numbers.cuh"

// Sizes of a convolution x [n, h, w, c] -> y [n, oh, ow, o] with weights [o, kh, kw, c / groups]. Plain loops, for what cuDNN does not take.
struct Conv { int n, h, w, c, oh, ow, o, kh, kw, top, left, down, across, dh, dw, groups; };

template <class T> __device__ __forceinline__ void conv_forward(Conv p, const T* x, const T* k, T* y) {
    u64 count = (u64)p.n * p.oh * p.ow * p.o;
    FOR_NUMBERS(count) {
        Place to = place(at, p.oh, p.ow, p.o);
        int each = p.c / p.groups, group = to.k / (p.o / p.groups);
        float sum = 0.0f;
        for (int a = 0; a < p.kh; ++a) {
            int i = to.i * p.down + a * p.dh - p.top;
            if (i < 0 || i >= p.h) continue;
            for (int b = 0; b < p.kw; ++b) {
                int j = to.j * p.across + b * p.dw - p.left;
                if (j < 0 || j >= p.w) continue;
                const T* u = x + ((to.n * p.h + i) * p.w + j) * p.c + group * each;
                const T* v = k + (((size_t)to.k * p.kh + a) * p.kw + b) * each;
                for (int c = 0; c < each; ++c) sum += wide(u[c]) * wide(v[c]);
            }
        }
        y[at] = Narrow<T>::of(sum);
    }
}
#define P_CONV(T) (Conv p, const T* a, const T* b, T* to)
EACH_TYPE(conv_forward, P_CONV, (p, a, b, to))

template <class T> __device__ __forceinline__ void conv_input_grad(Conv p, const T* y, const T* k, T* x) {
    u64 count = (u64)p.n * p.h * p.w * p.c;
    FOR_NUMBERS(count) {
        Place to = place(at, p.h, p.w, p.c);
        int each = p.c / p.groups, outputs = p.o / p.groups, first = to.k / each * outputs;
        float sum = 0.0f;
        for (int a = 0; a < p.kh; ++a) {
            int i = to.i + p.top - a * p.dh;
            if (i < 0 || i % p.down != 0 || i / p.down >= p.oh) continue;
            for (int b = 0; b < p.kw; ++b) {
                int j = to.j + p.left - b * p.dw;
                if (j < 0 || j % p.across != 0 || j / p.across >= p.ow) continue;
                const T* u = y + ((to.n * p.oh + i / p.down) * p.ow + j / p.across) * p.o;
                const T* v = k + ((size_t)a * p.kw + b) * each + to.k % each;
                for (int o = first; o < first + outputs; ++o) sum += wide(u[o]) * wide(v[(size_t)o * p.kh * p.kw * each]);
            }
        }
        x[at] = Narrow<T>::of(sum);
    }
}
EACH_TYPE(conv_input_grad, P_CONV, (p, a, b, to))

template <class T> __device__ __forceinline__ void conv_weight_grad(Conv p, const T* x, const T* dy, T* dk) {
    int each = p.c / p.groups;
    u64 count = (u64)p.o * p.kh * p.kw * each;
    FOR_NUMBERS(count) {
        Place to = place(at, p.kh, p.kw, each);
        int channel = (int)to.n / (p.o / p.groups) * each + to.k;
        double total = 0.0;
        for (int n = 0; n < p.n; ++n) {
            float sum = 0.0f;
            for (int oi = 0; oi < p.oh; ++oi) {
                int i = oi * p.down + to.i * p.dh - p.top;
                if (i < 0 || i >= p.h) continue;
                for (int oj = 0; oj < p.ow; ++oj) {
                    int j = oj * p.across + to.j * p.dw - p.left;
                    if (j < 0 || j >= p.w) continue;
                    sum += wide(x[(((size_t)n * p.h + i) * p.w + j) * p.c + channel]) * wide(dy[(((size_t)n * p.oh + oi) * p.ow + oj) * p.o + to.n]);
                }
            }
            total += sum;
        }
        dk[at] = Narrow<T>::of((float)total);
    }
}
EACH_TYPE(conv_weight_grad, P_CONV, (p, a, b, to))

// The windows of x as rows [n·oh·ow, kh·kw·c], so that a convolution is a matrix product; `count` and the channels are those of lanes.
template <class L> __device__ __forceinline__ void im2col(Conv p, const typename L::type* x, typename L::type* columns, u64 count) {
    FOR_NUMBERS(count) {
        Place tap = place(at, p.kh, p.kw, p.c / L::N);
        Place to = place(tap.n, p.oh, p.ow, 1);
        int i = to.i * p.down + tap.i * p.dh - p.top, j = to.j * p.across + tap.j * p.dw - p.left;
        float v[L::N];
        for (int k = 0; k < L::N; ++k) v[k] = 0.0f;
        if (i >= 0 && i < p.h && j >= 0 && j < p.w) L::load(x + ((to.n * p.h + i) * p.w + j) * p.c + tap.k * L::N, v);
        L::store(columns + at * L::N, v);
    }
}
#define P_IM2COL(T) (Conv p, const T* x, T* columns, u64 count)
EACH_LANES(im2col, P_IM2COL, (p, x, columns, count))

// The same for images of a few channels: a thread has a row of the window, whose pixels are neighbors.
template <class T> __device__ __forceinline__ void im2col_few(Conv p, const T* x, T* columns, u64 count) {
    FOR_NUMBERS(count) {
        u32 row = (u32)at / (u32)p.kh, a = (u32)at % (u32)p.kh;
        Place to = place(row, p.oh, p.ow, 1);
        int i = to.i * p.down + (int)a * p.dh - p.top;
        bool inside = i >= 0 && i < p.h;
        const T* from = x + (to.n * p.h + i) * p.w * p.c;
        T* y = columns + at * p.kw * p.c;
        for (int b = 0; b < p.kw; ++b) {
            int j = to.j * p.across + b * p.dw - p.left;
            bool is = inside && j >= 0 && j < p.w;
            for (int k = 0; k < p.c; ++k) y[b * p.c + k] = is ? from[j * p.c + k] : Narrow<T>::of(0.0f);
        }
    }
}
EACH_TYPE(im2col_few, P_IM2COL, (p, x, columns, count))

// Adds rows of windows, in f32, to the image that they were taken from; a thread has N channels of a pixel.
template <class T, int N> __device__ __forceinline__ void col2im(Conv p, const float* columns, T* x, u64 count) {
    FOR_NUMBERS(count) {
        Place to = place(at, p.h, p.w, p.c / N);
        float sum[N];
        for (int k = 0; k < N; ++k) sum[k] = 0.0f;
        for (int a = 0; a < p.kh; ++a) {
            int i = to.i + p.top - a * p.dh;
            if (i < 0 || i % p.down != 0 || i / p.down >= p.oh) continue;
            for (int b = 0; b < p.kw; ++b) {
                int j = to.j + p.left - b * p.dw;
                if (j < 0 || j % p.across != 0 || j / p.across >= p.ow) continue;
                size_t row = (to.n * p.oh + i / p.down) * p.ow + j / p.across;
                const float* from = columns + ((row * p.kh + a) * p.kw + b) * p.c + to.k * N;
#pragma unroll
                for (int k = 0; k < N; ++k) sum[k] += from[k];
            }
        }
#pragma unroll
        for (int k = 0; k < N; ++k) x[at * N + k] = Narrow<T>::of(sum[k]);
    }
}
#define COL2IM(name, T, N) \
    extern "C" __global__ void __launch_bounds__(256) name(Conv p, const float* columns, T* x, u64 count) { col2im<T, N>(p, columns, x, count); }
COL2IM(col2im_f32_1, float, 1)
COL2IM(col2im_f32_3, float, 3)
COL2IM(col2im_f32_4, float, 4)
COL2IM(col2im_bf16_1, bf16, 1)
COL2IM(col2im_bf16_3, bf16, 3)
COL2IM(col2im_bf16_4, bf16, 4)
