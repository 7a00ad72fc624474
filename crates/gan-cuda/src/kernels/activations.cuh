// Activations, and other functions of single numbers.
#pragma once
#include "numbers.cuh"

enum { IDENTITY = 0, LEAKY = 1, TANH = 2, SIGMOID = 3 };

__device__ __forceinline__ float sigmoid(float x) {
    float e = expf(-fabsf(x));
    return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

__device__ __forceinline__ float activate(int act, float slope, float x) {
    if (act == LEAKY) return x > 0.0f ? x : slope * x;
    if (act == TANH) return tanhf(x);
    if (act == SIGMOID) return sigmoid(x);
    return x;
}

// x <- act(x + bias) over [rows, channels]; a thread has its channels and walks over rows.
template <class L> __device__ __forceinline__ void bias_act(typename L::type* x, const float* bias, int rows, int channels, int act, float slope) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    if (c >= channels) return;
    float b[L::N];
    for (int i = 0; i < L::N; ++i) b[i] = bias ? bias[c + i] : 0.0f;
    for (int r = blockIdx.y * blockDim.y + threadIdx.y; r < rows; r += gridDim.y * blockDim.y) {
        typename L::type* p = x + (size_t)r * channels + c;
        float v[L::N];
        L::load(p, v);
        for (int i = 0; i < L::N; ++i) v[i] = activate(act, slope, v[i] + b[i]);
        L::store(p, v);
    }
}
#define P_BIAS_ACT(T) (T* x, const float* bias, int rows, int channels, int act, float slope)
EACH_LANES(bias_act, P_BIAS_ACT, (x, bias, rows, channels, act, slope))

// g <- g·act' from the output y.
template <class L> __device__ __forceinline__ void act_grad(const typename L::type* y, typename L::type* g, u64 n, int act, float slope) {
    FOR_LANES(n) {
        float a[L::N], b[L::N];
        L::load(y + at, a);
        L::load(g + at, b);
        for (int i = 0; i < L::N; ++i) {
            if (act == LEAKY) b[i] = a[i] > 0.0f ? b[i] : slope * b[i];
            if (act == TANH) b[i] *= 1.0f - a[i] * a[i];
        }
        L::store(g + at, b);
    }
}
#define P_ACT_GRAD(T) (const T* y, T* g, u64 n, int act, float slope)
EACH_LANES(act_grad, P_ACT_GRAD, (y, g, n, act, slope))

template <class L> __device__ __forceinline__ void in_act(const typename L::type* x, typename L::type* y, u64 n, int act, float slope) {
    FOR_LANES(n) {
        float a[L::N];
        L::load(x + at, a);
        for (int i = 0; i < L::N; ++i) a[i] = activate(act, slope, a[i]);
        L::store(y + at, a);
    }
}
#define P_IN_ACT(T) (const T* x, T* y, u64 n, int act, float slope)
EACH_LANES(in_act, P_IN_ACT, (x, y, n, act, slope))

template <class L> __device__ __forceinline__ void in_act_grad(const typename L::type* x, typename L::type* g, u64 n, int act, float slope) {
    FOR_LANES(n) {
        float a[L::N], b[L::N];
        L::load(x + at, a);
        L::load(g + at, b);
        for (int i = 0; i < L::N; ++i) {
            if (act == SIGMOID) b[i] *= sigmoid(a[i]) * sigmoid(-a[i]);
            else b[i] *= a[i] > 0.0f ? 1.0f : slope;
        }
        L::store(g + at, b);
    }
}
#define P_IN_ACT_GRAD(T) (const T* x, T* g, u64 n, int act, float slope)
EACH_LANES(in_act_grad, P_IN_ACT_GRAD, (x, g, n, act, slope))

template <class L> __device__ __forceinline__ void add_to(const typename L::type* x, typename L::type* y, u64 n) {
    FOR_LANES(n) {
        float a[L::N], b[L::N];
        L::load(x + at, a);
        L::load(y + at, b);
        for (int i = 0; i < L::N; ++i) b[i] += a[i];
        L::store(y + at, b);
    }
}
#define P_ADD_TO(T) (const T* x, T* y, u64 n)
EACH_LANES(add_to, P_ADD_TO, (x, y, n))

// y = x·scale where uniform >= rate, else 0. The random numbers are of the activations' type.
template <class L> __device__ __forceinline__ void dropout(const typename L::type* uniform, const typename L::type* x, typename L::type* y, u64 n, float rate, float scale) {
    FOR_LANES(n) {
        float u[L::N], a[L::N];
        L::load(uniform + at, u);
        L::load(x + at, a);
        for (int i = 0; i < L::N; ++i) a[i] = u[i] >= rate ? a[i] * scale : 0.0f;
        L::store(y + at, a);
    }
}
#define P_DROPOUT(T) (const T* uniform, const T* x, T* y, u64 n, float rate, float scale)
EACH_LANES(dropout, P_DROPOUT, (uniform, x, y, n, rate, scale))
