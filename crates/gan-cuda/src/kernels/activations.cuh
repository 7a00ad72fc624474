// Activations, and other functions of single numbers.
#pragma once
#include "numbers.cuh"

enum { IDENTITY = 0, LEAKY = 1, TANH = 2, SIGMOID = 3, ELU = 4, SILU = 5, GELU = 6 };

__device__ __forceinline__ float sigmoid(float x) {
    float e = expf(-fabsf(x));
    return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

// Distribution function and density of the standard normal distribution.
__device__ __forceinline__ float normal_below(float x) { return 0.5f * erfcf(-0.70710678f * x); }
__device__ __forceinline__ float normal_density(float x) { return 0.39894228f * expf(-0.5f * x * x); }

// Activations whose derivatives are functions of their output; `slope` is that below zero.
__device__ __forceinline__ float activate(int act, float slope, float x) {
    if (act == LEAKY) return x > 0.0f ? x : slope * x;
    if (act == TANH) return tanhf(x);
    return x;
}

// Activations whose derivatives are functions of their input; `slope` is also the factor of ELU.
__device__ __forceinline__ float activate_input(int act, float slope, float x) {
    if (act == LEAKY) return x > 0.0f ? x : slope * x;
    if (act == ELU) return x > 0.0f ? x : slope * expm1f(x);
    if (act == GELU) return x * normal_below(x);
    float high = sigmoid(x);
    return act == SILU ? x * high : high;
}

// The first two derivatives by the input. Those of the hyperbolic tangent are functions of its output y: with a tangent t·(1 - y²) after it, its
// second derivative along t is -2·y times that tangent.
struct Derivatives {
    float slope, bend;
    __device__ __forceinline__ Derivatives(int act, float below, float x) : slope(1.0f), bend(0.0f) {
        if (act == LEAKY) slope = x > 0.0f ? 1.0f : below;
        if (act == TANH) { slope = 1.0f - x * x; bend = -2.0f * x; }
        if (act == SIGMOID || act == SILU) {
            float high = sigmoid(x), low = sigmoid(-x), product = high * low;
            slope = act == SILU ? x * product + high : product;
            bend = act == SILU ? x * (product * (low - high)) + 2.0f * product : product * (low - high);
        }
        if (act == ELU) {
            float power = below * expf(x);
            slope = x > 0.0f ? 1.0f : power;
            bend = x > 0.0f ? 0.0f : power;
        }
        if (act == GELU) {
            float density = normal_density(x);
            slope = x * density + normal_below(x);
            bend = density * (2.0f - x * x);
        }
    }
};

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
        for (int i = 0; i < L::N; ++i) a[i] = activate_input(act, slope, a[i]);
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
        for (int i = 0; i < L::N; ++i) b[i] *= Derivatives(act, slope, a[i]).slope;
        L::store(g + at, b);
    }
}
#define P_IN_ACT_GRAD(T) (const T* x, T* g, u64 n, int act, float slope)
EACH_LANES(in_act_grad, P_IN_ACT_GRAD, (x, g, n, act, slope))

// Adjoints before an activation from values x (of the hyperbolic tangent, its output), tangents t there, and the adjoints h of tangents and
// g of values after it: xbar = g·act' + h·t·act'', tbar = h·act'. Without g it is zero.
template <class L> __device__ __forceinline__ void act_jvp_grad(const typename L::type* x, const typename L::type* t, const typename L::type* h, const typename L::type* g, typename L::type* xbar, typename L::type* tbar, u64 n, int act, float slope) {
    FOR_LANES(n) {
        float a[L::N], b[L::N], c[L::N], d[L::N];
        L::load(x + at, a);
        L::load(t + at, b);
        L::load(h + at, c);
        if (g) L::load(g + at, d);
        for (int i = 0; i < L::N; ++i) {
            Derivatives by(act, slope, a[i]);
            b[i] = (g ? d[i] * by.slope : 0.0f) + c[i] * b[i] * by.bend;
            c[i] *= by.slope;
        }
        L::store(xbar + at, b);
        L::store(tbar + at, c);
    }
}
#define P_ACT_JVP_GRAD(T) (const T* x, const T* t, const T* h, const T* g, T* xbar, T* tbar, u64 n, int act, float slope)
EACH_LANES(act_jvp_grad, P_ACT_JVP_GRAD, (x, t, h, g, xbar, tbar, n, act, slope))

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

// y <- scale·y + x, or without x the product, with one scale for each sample; its size is a multiple of a lane's.
template <class L> __device__ __forceinline__ void scale_samples(const typename L::type* scales, const typename L::type* x, typename L::type* y, u64 n, int size) {
    FOR_LANES(n) {
        float scale = wide(scales[(u32)at / (u32)size]);
        float a[L::N], b[L::N];
        L::load(y + at, a);
        if (x) L::load(x + at, b);
        for (int i = 0; i < L::N; ++i) a[i] = scale * a[i] + (x ? b[i] : 0.0f);
        L::store(y + at, a);
    }
}
#define P_SCALE_SAMPLES(T) (const T* scales, const T* x, T* y, u64 n, int size)
EACH_LANES(scale_samples, P_SCALE_SAMPLES, (scales, x, y, n, size))
