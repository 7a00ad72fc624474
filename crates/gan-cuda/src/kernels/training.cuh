// Optimizers and random numbers.
#pragma once
#include "activations.cuh"
#include "reductions.cuh"

// An optimizer's step.
struct Update { float first_decay, second_decay, scale, root_scale, epsilon; int inside, has_first; };

// Adam or RMSProp.
template <class L> __device__ __forceinline__ void update(float* values, const float* gradient, float* first, float* second, u64 n, Update by) {
    FOR_LANES(n) {
        float p[L::N], g[L::N], m[L::N], v[L::N];
        L::load(values + at, p);
        L::load(gradient + at, g);
        L::load(second + at, v);
        if (by.has_first) L::load(first + at, m);
        for (int i = 0; i < L::N; ++i) {
            v[i] = by.second_decay * v[i] + (1.0f - by.second_decay) * g[i] * g[i];
            m[i] = by.has_first ? by.first_decay * m[i] + (1.0f - by.first_decay) * g[i] : g[i];
            float square = by.root_scale * v[i];
            float root = by.inside ? sqrtf(square + by.epsilon) : sqrtf(square) + by.epsilon;
            p[i] -= by.scale * m[i] / root;
        }
        L::store(second + at, v);
        if (by.has_first) L::store(first + at, m);
        L::store(values + at, p);
    }
}
#define UPDATE(name, L) \
    extern "C" __global__ void __launch_bounds__(256) name(float* values, const float* gradient, float* first, float* second, u64 n, Update by) { update<L>(values, gradient, first, second, n, by); }
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
