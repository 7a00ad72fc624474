// Optimizers, losses and random numbers.
#pragma once
#include "activations.cuh"
#include "reductions.cuh"

// Coefficients of a step that do not change from step to step.
struct Update { float first_decay, second_decay, epsilon; int inside, has_first; };

// Adam or RMSProp. `coefficients` holds [scale, root_scale] in device memory, so that a captured step can be replayed with others.
template <class L> __device__ __forceinline__ void update(float* values, const float* gradient, const float* more, float* first, float* second, u64 n, Update by, const float* coefficients, float scale, float root_scale) {
    if (coefficients) { scale = coefficients[0]; root_scale = coefficients[1]; }
    FOR_LANES(n) {
        float p[L::N], g[L::N], h[L::N], m[L::N], v[L::N];
        L::load(values + at, p);
        L::load(gradient + at, g);
        L::load(second + at, v);
        if (by.has_first) L::load(first + at, m);
        if (more) L::load(more + at, h);
        for (int i = 0; i < L::N; ++i) {
            if (more) g[i] += h[i];
            v[i] = by.second_decay * v[i] + (1.0f - by.second_decay) * g[i] * g[i];
            m[i] = by.has_first ? by.first_decay * m[i] + (1.0f - by.first_decay) * g[i] : g[i];
            float square = root_scale * v[i];
            float root = by.inside ? sqrtf(square + by.epsilon) : sqrtf(square) + by.epsilon;
            p[i] -= scale * m[i] / root;
        }
        L::store(second + at, v);
        if (by.has_first) L::store(first + at, m);
        L::store(values + at, p);
    }
}
#define UPDATE(name, L) \
    extern "C" __global__ void __launch_bounds__(256) name(float* values, const float* gradient, const float* more, float* first, float* second, u64 n, Update by, const float* coefficients, float scale, float root_scale) { update<L>(values, gradient, more, first, second, n, by, coefficients, scale, root_scale); }
UPDATE(update_f32, One<float>)
UPDATE(update_f32v, Many<float>)

extern "C" __global__ void __launch_bounds__(256) follow(const float* x, float* average, u64 n, float weight) {
    FOR_NUMBERS(n) average[at] += weight * (x[at] - average[at]);
}

// Sum of squares of this block's numbers.
extern "C" __global__ void __launch_bounds__(256) squares(const float* x, u64 n, double* partial) {
    double sum = 0.0;
    FOR_NUMBERS(n) sum += (double)x[at] * x[at];
    sum = over_block(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// Mean binary cross-entropy of logits with one label, and its gradient: softplus(x) - label·x, (sigmoid(x) - label) / n. One block.
template <class T> __device__ __forceinline__ void cross_entropy(const T* logits, T* gradient, float* loss, int n, float label) {
    double sum = 0.0;
    for (int i = threadIdx.x; i < n; i += 256) {
        float x = wide(logits[i]);
        sum += (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x))) - label * x;
        gradient[i] = Narrow<T>::of((sigmoid(x) - label) / n);
    }
    sum = over_block(sum);
    if (threadIdx.x == 0) *loss = (float)(sum / n);
}
#define P_CROSS_ENTROPY(T) (const T* logits, T* gradient, float* loss, int n, float label)
EACH_TYPE(cross_entropy, P_CROSS_ENTROPY, (logits, gradient, loss, n, label))

// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): uniform numbers from a step and a place.
__device__ __forceinline__ void philox(u32* x, u32 a, u32 b) {
    for (int i = 0; i < 10; ++i) {
        u64 p = (u64)0xD2511F53u * x[0], q = (u64)0xCD9E8D57u * x[2];
        u32 y0 = (u32)(q >> 32) ^ x[1] ^ a, y2 = (u32)(p >> 32) ^ x[3] ^ b;
        x[1] = (u32)q; x[3] = (u32)p; x[0] = y0; x[2] = y2;
        a += 0x9E3779B9u; b += 0xBB67AE85u;
    }
}
template <class T> __device__ __forceinline__ void uniform(T* to, u64 n, u32 seed, u32 site, const float* step) {
    FOR_NUMBERS((n + 3) / 4) {
        u32 x[4] = {(u32)at, (u32)(at >> 32), site, (u32)*step};
        philox(x, seed, 0u);
        for (int i = 0; i < 4; ++i)
            if (at * 4 + i < n) to[at * 4 + i] = Narrow<T>::of((float)(x[i] >> 8) * (1.0f / 16777216.0f));
    }
}
#define P_UNIFORM(T) (T* to, u64 n, u32 seed, u32 site, const float* step)
EACH_TYPE(uniform, P_UNIFORM, (to, n, seed, site, step))
