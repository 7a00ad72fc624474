// Maps of pixels without weights.
#pragma once
#include "numbers.cuh"

// y[n, i, j] = x[n, i / down, j / across]; h, w, c are those of y, `count` that of its lanes.
template <class L> __device__ __forceinline__ void upsample(const typename L::type* x, typename L::type* y, u64 count, int h, int w, int c, int down, int across) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / L::N);
        float v[L::N];
        L::load(x + ((p.n * (h / down) + p.i / down) * (w / across) + p.j / across) * c + p.k * L::N, v);
        L::store(y + at * L::N, v);
    }
}
#define P_UPSAMPLE(T) (const T* x, T* y, u64 count, int h, int w, int c, int down, int across)
EACH_LANES(upsample, P_UPSAMPLE, (x, y, count, h, w, c, down, across))

// y[n, i, j] = factor·(sum of x over the window of [down, across] at i, j); h, w, c are those of y, from_h and from_w those of x.
template <class L> __device__ __forceinline__ void window_sum(const typename L::type* x, typename L::type* y, u64 count, int h, int w, int c, int from_h, int from_w, int down, int across, float factor) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / L::N);
        float sum[L::N], v[L::N];
        for (int k = 0; k < L::N; ++k) sum[k] = 0.0f;
        for (int a = 0; a < down; ++a)
            for (int b = 0; b < across; ++b) {
                L::load(x + ((p.n * from_h + p.i * down + a) * from_w + p.j * across + b) * c + p.k * L::N, v);
                for (int k = 0; k < L::N; ++k) sum[k] += v[k];
            }
        for (int k = 0; k < L::N; ++k) sum[k] *= factor;
        L::store(y + at * L::N, sum);
    }
}
#define P_WINDOW_SUM(T) (const T* x, T* y, u64 count, int h, int w, int c, int from_h, int from_w, int down, int across, float factor)
EACH_LANES(window_sum, P_WINDOW_SUM, (x, y, count, h, w, c, from_h, from_w, down, across, factor))

// dx[n, i, j] = g[n, i / down, j / across]·factor inside the windows, else 0; h, w, c are those of dx, from_h and from_w those of g.
template <class L> __device__ __forceinline__ void window_spread(const typename L::type* g, typename L::type* dx, u64 count, int h, int w, int c, int from_h, int from_w, int down, int across, float factor) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / L::N);
        int i = p.i / down, j = p.j / across;
        float v[L::N];
        for (int k = 0; k < L::N; ++k) v[k] = 0.0f;
        if (i < from_h && j < from_w) L::load(g + ((p.n * from_h + i) * from_w + j) * c + p.k * L::N, v);
        for (int k = 0; k < L::N; ++k) v[k] *= factor;
        L::store(dx + at * L::N, v);
    }
}
#define P_WINDOW_SPREAD(T) (const T* g, T* dx, u64 count, int h, int w, int c, int from_h, int from_w, int down, int across, float factor)
EACH_LANES(window_spread, P_WINDOW_SPREAD, (g, dx, count, h, w, c, from_h, from_w, down, across, factor))

// y[n, i, j] = the sum of x[n, a, b]·(weights of a and b) over the taps of row i and column j; h, w, c are those of y. The table has the first
// tap of each row and the rows' end, the same of the columns, and each tap's index and weight.
template <class L> __device__ __forceinline__ void weighted(const typename L::type* x, typename L::type* y, u64 count, int h, int w, int c, int from_h, int from_w, const u32* down) {
    const u32* across = down + h + 1;
    const u32* taps = across + w + 1;
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / L::N);
        float sum[L::N], v[L::N];
        for (int k = 0; k < L::N; ++k) sum[k] = 0.0f;
        for (u32 a = down[p.i]; a < down[p.i + 1]; ++a)
            for (u32 b = across[p.j]; b < across[p.j + 1]; ++b) {
                L::load(x + ((p.n * from_h + taps[2 * a]) * from_w + taps[2 * b]) * c + p.k * L::N, v);
                float weight = of_bits(taps[2 * a + 1]) * of_bits(taps[2 * b + 1]);
                for (int k = 0; k < L::N; ++k) sum[k] += weight * v[k];
            }
        L::store(y + at * L::N, sum);
    }
}
#define P_WEIGHTED(T) (const T* x, T* y, u64 count, int h, int w, int c, int from_h, int from_w, const u32* down)
EACH_LANES(weighted, P_WEIGHTED, (x, y, count, h, w, c, from_h, from_w, down))

// Rearranges images [n, h / side, w / side, c·side·side] into [n, h, w, c], or back.
template <class T> __device__ __forceinline__ void shuffle(const T* x, T* y, u64 count, int h, int w, int c, int side, int back) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c);
        size_t pixel = (p.n * (h / side) + p.i / side) * (w / side) + p.j / side;
        size_t small = ((pixel * c + p.k) * side + p.i % side) * side + p.j % side;
        if (back) y[small] = x[at];
        else y[at] = x[small];
    }
}
#define P_SHUFFLE(T) (const T* x, T* y, u64 count, int h, int w, int c, int side, int back)
EACH_TYPE(shuffle, P_SHUFFLE, (x, y, count, h, w, c, side, back))

// The maximum of each channel of [n, pixels, c]; a NaN stays.
template <class T> __device__ __forceinline__ void max_pool(const T* x, T* y, u64 count, int pixels, int c) {
    FOR_NUMBERS(count) {
        const T* from = x + (size_t)((u32)at / (u32)c) * pixels * c + (u32)at % (u32)c;
        float most = wide(from[0]);
#pragma unroll 8
        for (int p = 1; p < pixels; ++p) { float v = wide(from[(size_t)p * c]); if (v > most || v != v) most = v; }
        y[at] = Narrow<T>::of(most);
    }
}
#define P_MAX_POOL(T) (const T* x, T* y, u64 count, int pixels, int c)
EACH_TYPE(max_pool, P_MAX_POOL, (x, y, count, pixels, c))

// Pixels that share the maximum share its gradient evenly.
template <class T> __device__ __forceinline__ void max_pool_grad(const T* x, const T* y, const T* g, T* dx, u64 count, int pixels, int c) {
    FOR_NUMBERS(count) {
        size_t start = (size_t)((u32)at / (u32)c) * pixels * c + (u32)at % (u32)c;
        float most = wide(y[at]), ties = 0.0f;
#pragma unroll 8
        for (int p = 0; p < pixels; ++p) ties += wide(x[start + (size_t)p * c]) == most ? 1.0f : 0.0f;
        float part = wide(g[at]) / ties;
        for (int p = 0; p < pixels; ++p) dx[start + (size_t)p * c] = Narrow<T>::of(wide(x[start + (size_t)p * c]) == most ? part : 0.0f);
    }
}
#define P_MAX_POOL_GRAD(T) (const T* x, const T* y, const T* g, T* dx, u64 count, int pixels, int c)
EACH_TYPE(max_pool_grad, P_MAX_POOL_GRAD, (x, y, g, dx, count, pixels, c))

// The maximum of each channel and its tangent, to which pixels that share it contribute evenly. A channel with a NaN has none.
template <class T> __device__ __forceinline__ void max_pool_jvp(const T* x, const T* t, T* y, T* to, u64 count, int pixels, int c) {
    FOR_NUMBERS(count) {
        size_t start = (size_t)((u32)at / (u32)c) * pixels * c + (u32)at % (u32)c;
        float most = wide(x[start]);
#pragma unroll 8
        for (int p = 1; p < pixels; ++p) { float v = wide(x[start + (size_t)p * c]); if (v > most || v != v) most = v; }
        float sum = 0.0f, ties = 0.0f;
        for (int p = 0; p < pixels; ++p) {
            bool is = wide(x[start + (size_t)p * c]) == most;
            sum += is ? wide(t[start + (size_t)p * c]) : 0.0f;
            ties += is ? 1.0f : 0.0f;
        }
        y[at] = Narrow<T>::of(most);
        to[at] = Narrow<T>::of(sum / ties);
    }
}
#define P_MAX_POOL_JVP(T) (const T* x, const T* t, T* y, T* to, u64 count, int pixels, int c)
EACH_TYPE(max_pool_jvp, P_MAX_POOL_JVP, (x, t, y, to, count, pixels, c))
