// Batch norm: a walk over the rows once the sums are known. The formulas are in norm.rs.
#pragma once
#include "sums.cuh"

template <class L> __device__ __forceinline__ void norm(const typename L::type* __restrict__ x, typename L::type* __restrict__ y, int rows, int channels, const float* stat, const float* gamma, const float* beta, float eps, float slope) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    if (c >= channels) return;
    x = OF_GROUP(x);
    y = OF_GROUP(y);
    stat += blockIdx.z * 3 * channels;
    Channels<L> by;
    by.load(c, channels, stat, gamma, beta, eps);
#pragma unroll 4
    FOR_ROWS(rows) {
        float v[L::N];
        L::load(x + (size_t)r * channels + c, v);
        for (int i = 0; i < L::N; ++i) {
            float z = (v[i] - by.centre[i]) * by.scale[i] + by.shift[i];
            v[i] = z > 0.0f ? z : slope * z;
        }
        L::store(y + (size_t)r * channels + c, v);
    }
}
#define P_NORM(T) (const T* __restrict__ x, T* __restrict__ y, int rows, int channels, const float* stat, const float* gamma, const float* beta, float eps, float slope)
EACH_LANES(norm, P_NORM, (x, y, rows, channels, stat, gamma, beta, eps, slope))

// g <- scale·g' - even - (x - centre)·along.
template <class L> __device__ __forceinline__ void norm_grad(const typename L::type* x, typename L::type* g, int rows, int channels, const float* stat, const float* gamma, const float* beta, float eps, float slope, const float* along) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    if (c >= channels) return;
    x = OF_GROUP(x);
    g = OF_GROUP(g);
    stat += blockIdx.z * 3 * channels;
    along += blockIdx.z * 2 * channels;
    Channels<L> by;
    by.load(c, channels, stat, gamma, beta, eps);
    float e[L::N], a[L::N];
    for (int i = 0; i < L::N; ++i) { e[i] = along[c + i]; a[i] = along[channels + c + i]; }
#pragma unroll 4
    FOR_ROWS(rows) {
        float u[L::N], v[L::N];
        L::load(x + (size_t)r * channels + c, u);
        L::load(g + (size_t)r * channels + c, v);
        for (int i = 0; i < L::N; ++i)
            v[i] = by.scale[i] * by.before_act(i, u[i], v[i], slope) - e[i] - (u[i] - by.centre[i]) * a[i];
        L::store(g + (size_t)r * channels + c, v);
    }
}
#define P_NORM_GRAD(T) (const T* x, T* g, int rows, int channels, const float* stat, const float* gamma, const float* beta, float eps, float slope, const float* along)
EACH_LANES(norm_grad, P_NORM_GRAD, (x, g, rows, channels, stat, gamma, beta, eps, slope, along))

// For the adjoints of a directional derivative (formulas in norm.rs): from sums [Σu, Σu·x̂] of τ̄ and of t, and Σ τ̄·t, the factors of
// t̄, τ and x - centre in the adjoint of x, and γ̄ += m·r·K. `fresh` writes γ̄ and β̄ instead of adding to them.
extern "C" __global__ void __launch_bounds__(256) jvp_finish(int channels, float count, const float* stat, const float* gamma, float eps, const float* of_adjoint, const float* of_tangent, const float* products, float* factors, float* dgamma, float* dbeta, int fresh) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    double m = count, r = 1.0 / sqrt((double)stat[channels + c] + (double)eps);
    double a = of_tangent[channels + c] / m, b = of_adjoint[channels + c] / m;
    double k = products[c] / m - (of_adjoint[c] / m) * (of_tangent[c] / m) - a * b;
    factors[c] = (float)(r * a);
    factors[channels + c] = (float)(r * b);
    factors[2 * channels + c] = (float)(gamma[c] * r * r * r * k);
    dgamma[c] = (float)(m * r * k) + (fresh ? 0.0f : dgamma[c]);
    if (fresh) dbeta[c] = 0.0f;
}

// xbar <- xbar - factors·[tbar, tau, x - centre]; `fresh` begins at 0.
template <class L> __device__ __forceinline__ void jvp_adjoint(const typename L::type* x, const typename L::type* tbar, const typename L::type* tau, typename L::type* xbar, int rows, int channels, const float* stat, const float* factors, int fresh) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    if (c >= channels) return;
    float centre[L::N], f[L::N], g[L::N], h[L::N];
    for (int i = 0; i < L::N; ++i) {
        centre[i] = stat[2 * channels + c + i];
        f[i] = factors[c + i];
        g[i] = factors[channels + c + i];
        h[i] = factors[2 * channels + c + i];
    }
    FOR_ROWS(rows) {
        size_t at = (size_t)r * channels + c;
        float u[L::N], v[L::N], w[L::N], to[L::N];
        L::load(x + at, u);
        L::load(tbar + at, v);
        L::load(tau + at, w);
        L::load(xbar + at, to);
        for (int i = 0; i < L::N; ++i) to[i] = (fresh ? 0.0f : to[i]) - (f[i] * v[i] + g[i] * w[i] + h[i] * (u[i] - centre[i]));
        L::store(xbar + at, to);
    }
}
#define P_JVP_ADJOINT(T) (const T* x, const T* tbar, const T* tau, T* xbar, int rows, int channels, const float* stat, const float* factors, int fresh)
EACH_LANES(jvp_adjoint, P_JVP_ADJOINT, (x, tbar, tau, xbar, rows, channels, stat, factors, fresh))

// Running averages of each group's statistics in turn; the variance is multiplied by `unbias` first.
extern "C" __global__ void __launch_bounds__(256) norm_follow(const float* stat, float* mean, float* variance, int channels, float momentum, float unbias, int groups) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    float m = mean[c], v = variance[c];
    for (int group = 0; group < groups; ++group) {
        const float* of = stat + group * 3 * channels;
        m += momentum * (of[c] - m);
        v += momentum * (of[channels + c] * unbias - v);
    }
    mean[c] = m;
    variance[c] = v;
}
