// Pixel norm: each pixel's channels times r = 1/sqrt(E[x²] + eps). The formulas of the derivatives are in pixel_norm.rs. A pixel has a row of
// threads.
#pragma once
#include "reductions.cuh"

#define FOR_CHANNELS(channels) for (int c = threadIdx.x * L::N; c < (channels); c += blockDim.x * L::N)

template <class L> __device__ __forceinline__ void pixel_norm(const typename L::type* x, typename L::type* y, u64 rows, int channels, float eps) {
    FOR_THREAD_ROWS(rows) {
        size_t row = first + threadIdx.y, start = row * channels;
        float square = 0.0f, v[L::N];
        if (row < rows) FOR_CHANNELS(channels) {
            L::load(x + start + c, v);
            for (int i = 0; i < L::N; ++i) square += v[i] * v[i];
        }
        float r = 1.0f / sqrtf(across(square) / channels + eps);
        if (row < rows) FOR_CHANNELS(channels) {
            L::load(x + start + c, v);
            for (int i = 0; i < L::N; ++i) v[i] *= r;
            L::store(y + start + c, v);
        }
    }
}
#define P_PIXEL_NORM(T) (const T* x, T* y, u64 rows, int channels, float eps)
EACH_LANES(pixel_norm, P_PIXEL_NORM, (x, y, rows, channels, eps))

// u <- r·u - r³·E[xu]·x, for a gradient or a tangent u.
template <class L> __device__ __forceinline__ void pixel_norm_grad(const typename L::type* x, typename L::type* u, u64 rows, int channels, float eps) {
    FOR_THREAD_ROWS(rows) {
        size_t row = first + threadIdx.y, start = row * channels;
        float square = 0.0f, dot = 0.0f, v[L::N], w[L::N];
        if (row < rows) FOR_CHANNELS(channels) {
            L::load(x + start + c, v);
            L::load(u + start + c, w);
            for (int i = 0; i < L::N; ++i) { square += v[i] * v[i]; dot += v[i] * w[i]; }
        }
        float r = 1.0f / sqrtf(across(square) / channels + eps);
        float along = r * r * r * (across(dot) / channels);
        if (row < rows) FOR_CHANNELS(channels) {
            L::load(x + start + c, v);
            L::load(u + start + c, w);
            for (int i = 0; i < L::N; ++i) w[i] = r * w[i] - along * v[i];
            L::store(u + start + c, w);
        }
    }
}
#define P_PIXEL_NORM_GRAD(T) (const T* x, T* u, u64 rows, int channels, float eps)
EACH_LANES(pixel_norm_grad, P_PIXEL_NORM_GRAD, (x, u, rows, channels, eps))

// Adjoints of values and tangents t from those after the norm, g (zero without it) and h.
template <class L> __device__ __forceinline__ void pixel_norm_jvp_grad(const typename L::type* x, const typename L::type* t, const typename L::type* h, const typename L::type* g, typename L::type* xbar, typename L::type* tbar, u64 rows, int channels, float eps) {
    FOR_THREAD_ROWS(rows) {
        size_t row = first + threadIdx.y, start = row * channels;
        float xx = 0.0f, xt = 0.0f, xh = 0.0f, ht = 0.0f, xg = 0.0f, a[L::N], b[L::N], k[L::N], l[L::N];
        if (row < rows) FOR_CHANNELS(channels) {
            L::load(x + start + c, a);
            L::load(t + start + c, b);
            L::load(h + start + c, k);
            if (g) L::load(g + start + c, l);
            for (int i = 0; i < L::N; ++i) {
                xx += a[i] * a[i];
                xt += a[i] * b[i];
                xh += a[i] * k[i];
                ht += k[i] * b[i];
                if (g) xg += a[i] * l[i];
            }
        }
        float r = 1.0f / sqrtf(across(xx) / channels + eps), square = r * r;
        float of_t = r * (across(xt) / channels), of_h = r * (across(xh) / channels);
        float bend = across(ht) / channels - of_t * of_h, of_g = across(xg) / channels;
        float along = square * r * (2.0f * of_t * of_h - bend) - square * r * of_g;
        if (row < rows) FOR_CHANNELS(channels) {
            L::load(x + start + c, a);
            L::load(t + start + c, b);
            L::load(h + start + c, k);
            if (g) L::load(g + start + c, l);
            for (int i = 0; i < L::N; ++i) {
                b[i] = along * a[i] - square * of_h * b[i] - square * of_t * k[i] + (g ? r * l[i] : 0.0f);
                k[i] = r * k[i] - square * of_h * a[i];
            }
            L::store(xbar + start + c, b);
            L::store(tbar + start + c, k);
        }
    }
}
#define P_PIXEL_NORM_JVP_GRAD(T) (const T* x, const T* t, const T* h, const T* g, T* xbar, T* tbar, u64 rows, int channels, float eps)
EACH_LANES(pixel_norm_jvp_grad, P_PIXEL_NORM_JVP_GRAD, (x, t, h, g, xbar, tbar, rows, channels, eps))
