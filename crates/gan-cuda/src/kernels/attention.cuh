// Softmax over rows, and its derivatives, for attention. The formulas are in attention.rs. A row has a row of threads; results may replace f32
// numbers that they are computed from.
#pragma once
#include "reductions.cuh"

#define FOR_COLUMNS(width) for (int j = threadIdx.x; j < (width); j += blockDim.x)

// a = exp(s) / sum of exp(s). The largest number is subtracted so that nothing overflows; it cancels out.
template <class T> __device__ __forceinline__ void softmax(const float* s, T* a, u64 rows, int width) {
    FOR_THREAD_ROWS(rows) {
        size_t row = first + threadIdx.y, start = row * width;
        float most = -INFINITY, sum = 0.0f;
        if (row < rows) FOR_COLUMNS(width) { float v = s[start + j]; most = v > most ? v : most; }
        most = largest_across(most);
        if (row < rows) FOR_COLUMNS(width) sum += expf(s[start + j] - most);
        float factor = 1.0f / across(sum);
        if (row < rows) FOR_COLUMNS(width) a[start + j] = Narrow<T>::of(expf(s[start + j] - most) * factor);
    }
}
#define P_SOFTMAX(T) (const float* s, T* a, u64 rows, int width)
EACH_TYPE(softmax, P_SOFTMAX, (s, a, rows, width))

// to = P(u) = a·(u - sum of a·u): the gradient of the scores from that of a, or the tangent of a from that of the scores.
template <class T> __device__ __forceinline__ void softmax_grad(const T* a, const float* u, T* to, u64 rows, int width) {
    FOR_THREAD_ROWS(rows) {
        size_t row = first + threadIdx.y, start = row * width;
        float along = 0.0f;
        if (row < rows) FOR_COLUMNS(width) along += wide(a[start + j]) * u[start + j];
        along = across(along);
        if (row < rows) FOR_COLUMNS(width) to[start + j] = Narrow<T>::of(wide(a[start + j]) * (u[start + j] - along));
    }
}
#define P_SOFTMAX_GRAD(T) (const T* a, const float* u, T* to, u64 rows, int width)
EACH_TYPE(softmax_grad, P_SOFTMAX_GRAD, (a, u, to, rows, width))

// From the tangents t of the scores, the adjoints b of the tangents of a and u of a, without the bend: P(t), P(b), and
// P(u + b·(t - sum of a·t) - (sum of a·b)·t).
template <class T> __device__ __forceinline__ void softmax_bend(const T* a, const float* t, const float* b, const float* u, T* to_t, T* to_b, T* to_u, u64 rows, int width) {
    FOR_THREAD_ROWS(rows) {
        size_t row = first + threadIdx.y, start = row * width;
        float along_t = 0.0f, along_b = 0.0f, along_u = 0.0f;
        if (row < rows) FOR_COLUMNS(width) {
            float weight = wide(a[start + j]);
            along_t += weight * t[start + j];
            along_b += weight * b[start + j];
        }
        along_t = across(along_t);
        along_b = across(along_b);
        if (row < rows) FOR_COLUMNS(width) {
            size_t at = start + j;
            along_u += wide(a[at]) * (u[at] + b[at] * (t[at] - along_t) - along_b * t[at]);
        }
        along_u = across(along_u);
        if (row < rows) FOR_COLUMNS(width) {
            size_t at = start + j;
            float weight = wide(a[at]), by_t = t[at], by_b = b[at];
            float bent = u[at] + by_b * (by_t - along_t) - along_b * by_t;
            to_t[at] = Narrow<T>::of(weight * (by_t - along_t));
            to_b[at] = Narrow<T>::of(weight * (by_b - along_b));
            to_u[at] = Narrow<T>::of(weight * (bent - along_u));
        }
    }
}
#define P_SOFTMAX_BEND(T) (const T* a, const float* t, const float* b, const float* u, T* to_t, T* to_b, T* to_u, u64 rows, int width)
EACH_TYPE(softmax_bend, P_SOFTMAX_BEND, (a, t, b, u, to_t, to_b, to_u, rows, width))
