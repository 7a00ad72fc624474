// Gated linear units a·sigmoid(b), where a and b are the halves of a pixel's channels, `channels` each. The formulas of the derivatives are in
// glu.rs. `count` is the number of lanes of one half.
#pragma once
#include "activations.cuh"

// Numbers of one lane: those of a half, and of what has the channels of one half.
struct GluPlace { size_t wide, narrow; };
template <class L> __device__ __forceinline__ GluPlace glu_place(size_t at, int channels) {
    u32 lanes = (u32)channels / L::N, pixel = (u32)at / lanes, lane = (u32)at % lanes;
    GluPlace p;
    p.wide = (size_t)pixel * 2 * channels + lane * L::N;
    p.narrow = at * L::N;
    return p;
}

template <class L> __device__ __forceinline__ void glu_forward(const typename L::type* x, typename L::type* y, u64 count, int channels) {
    FOR_NUMBERS(count) {
        GluPlace p = glu_place<L>(at, channels);
        float a[L::N], b[L::N];
        L::load(x + p.wide, a);
        L::load(x + p.wide + channels, b);
        for (int i = 0; i < L::N; ++i) a[i] *= sigmoid(b[i]);
        L::store(y + p.narrow, a);
    }
}
#define P_GLU(T) (const T* x, T* y, u64 count, int channels)
EACH_LANES(glu_forward, P_GLU, (x, y, count, channels))

template <class L> __device__ __forceinline__ void glu_grad(const typename L::type* x, const typename L::type* g, typename L::type* dx, u64 count, int channels) {
    FOR_NUMBERS(count) {
        GluPlace p = glu_place<L>(at, channels);
        float a[L::N], b[L::N], c[L::N];
        L::load(x + p.wide, a);
        L::load(x + p.wide + channels, b);
        L::load(g + p.narrow, c);
        for (int i = 0; i < L::N; ++i) {
            a[i] *= c[i] * Derivatives(SIGMOID, 0.0f, b[i]).slope;
            b[i] = c[i] * sigmoid(b[i]);
        }
        L::store(dx + p.wide, b);
        L::store(dx + p.wide + channels, a);
    }
}
#define P_GLU_GRAD(T) (const T* x, const T* g, T* dx, u64 count, int channels)
EACH_LANES(glu_grad, P_GLU_GRAD, (x, g, dx, count, channels))

template <class L> __device__ __forceinline__ void glu_jvp(const typename L::type* x, const typename L::type* t, typename L::type* y, u64 count, int channels) {
    FOR_NUMBERS(count) {
        GluPlace p = glu_place<L>(at, channels);
        float a[L::N], b[L::N], u[L::N], v[L::N];
        L::load(x + p.wide, a);
        L::load(x + p.wide + channels, b);
        L::load(t + p.wide, u);
        L::load(t + p.wide + channels, v);
        for (int i = 0; i < L::N; ++i) u[i] = u[i] * sigmoid(b[i]) + v[i] * a[i] * Derivatives(SIGMOID, 0.0f, b[i]).slope;
        L::store(y + p.narrow, u);
    }
}
#define P_GLU_JVP(T) (const T* x, const T* t, T* y, u64 count, int channels)
EACH_LANES(glu_jvp, P_GLU_JVP, (x, t, y, count, channels))

template <class L> __device__ __forceinline__ void glu_jvp_grad(const typename L::type* x, const typename L::type* t, const typename L::type* h, const typename L::type* g, typename L::type* xbar, typename L::type* tbar, u64 count, int channels) {
    FOR_NUMBERS(count) {
        GluPlace p = glu_place<L>(at, channels);
        float a[L::N], b[L::N], u[L::N], v[L::N], of_t[L::N], of_x[L::N];
        L::load(x + p.wide, a);
        L::load(x + p.wide + channels, b);
        L::load(t + p.wide, u);
        L::load(t + p.wide + channels, v);
        L::load(h + p.narrow, of_t);
        if (g) L::load(g + p.narrow, of_x);
        for (int i = 0; i < L::N; ++i) {
            Derivatives by(SIGMOID, 0.0f, b[i]);
            float gate = sigmoid(b[i]), outer = g ? of_x[i] : 0.0f;
            float of_a = of_t[i] * v[i] * by.slope + outer * gate;
            float of_b = of_t[i] * (u[i] * by.slope + v[i] * a[i] * by.bend) + outer * a[i] * by.slope;
            u[i] = of_t[i] * gate;
            v[i] = of_t[i] * a[i] * by.slope;
            a[i] = of_a;
            b[i] = of_b;
        }
        L::store(xbar + p.wide, a);
        L::store(xbar + p.wide + channels, b);
        L::store(tbar + p.wide, u);
        L::store(tbar + p.wide + channels, v);
    }
}
#define P_GLU_JVP_GRAD(T) (const T* x, const T* t, const T* h, const T* g, T* xbar, T* tbar, u64 count, int channels)
EACH_LANES(glu_jvp_grad, P_GLU_JVP_GRAD, (x, t, h, g, xbar, tbar, count, channels))
