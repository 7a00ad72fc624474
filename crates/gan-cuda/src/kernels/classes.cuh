// Layers that use the class of each sample.
#pragma once
#include "numbers.cuh"

// Sample i has the class classes[i % given]: samples of several batches follow each other. Each result number has one thread.

// y = x with a row at the end of each pixel's channels: the class's row, or one-hot without rows, or zeros without classes.
template <class T> __device__ __forceinline__ void concat_class(const T* x, T* y, u64 count, int pixels, int c, int wide_c, const u32* classes, int given, const float* rows) {
    FOR_NUMBERS(count) {
        u32 pixel = (u32)at / (u32)wide_c;
        int k = (int)((u32)at % (u32)wide_c);
        if (k < c) { y[at] = x[(size_t)pixel * c + k]; continue; }
        float value = 0.0f;
        if (classes) {
            u32 of = classes[pixel / (u32)pixels % (u32)given];
            value = rows ? rows[(size_t)of * (wide_c - c) + k - c] : of == (u32)(k - c) ? 1.0f : 0.0f;
        }
        y[at] = Narrow<T>::of(value);
    }
}
#define P_CONCAT_CLASS(T) (const T* x, T* y, u64 count, int pixels, int c, int wide_c, const u32* classes, int given, const float* rows)
EACH_TYPE(concat_class, P_CONCAT_CLASS, (x, y, count, pixels, c, wide_c, classes, given, rows))

template <class T> __device__ __forceinline__ void class_rows_grad(const T* g, float* rows, u64 count, int samples, int pixels, int c, int wide_c, const u32* classes, int given) {
    FOR_NUMBERS(count) {
        u32 of = (u32)at / (u32)(wide_c - c), k = (u32)at % (u32)(wide_c - c);
        double total = 0.0;
        for (int n = 0; n < samples; ++n) {
            if (classes[n % given] != of) continue;
            const T* from = g + (size_t)n * pixels * wide_c + c + k;
            float sum = 0.0f;
            for (int p = 0; p < pixels; ++p) sum += wide(from[(size_t)p * wide_c]);
            total += sum;
        }
        rows[at] = (float)total;
    }
}
#define P_CLASS_ROWS_GRAD(T) (const T* g, float* rows, u64 count, int samples, int pixels, int c, int wide_c, const u32* classes, int given)
EACH_TYPE(class_rows_grad, P_CLASS_ROWS_GRAD, (g, rows, count, samples, pixels, c, wide_c, classes, given))

// y = sum of x·(weight + the class's row).
template <class T> __device__ __forceinline__ void projection(const T* x, const float* weight, const float* embed, T* y, u64 count, int features, const u32* classes, int given) {
    FOR_NUMBERS(count) {
        const T* from = x + at * features;
        const float* row = embed + (size_t)classes[at % given] * features;
        float sum = 0.0f;
        for (int k = 0; k < features; ++k) sum += wide(from[k]) * (weight[k] + row[k]);
        y[at] = Narrow<T>::of(sum);
    }
}
#define P_PROJECTION(T) (const T* x, const float* weight, const float* embed, T* y, u64 count, int features, const u32* classes, int given)
EACH_TYPE(projection, P_PROJECTION, (x, weight, embed, y, count, features, classes, given))

template <class T> __device__ __forceinline__ void projection_input_grad(const T* g, const float* weight, const float* embed, T* dx, u64 count, int features, const u32* classes, int given) {
    FOR_NUMBERS(count) {
        u32 n = (u32)at / (u32)features, k = (u32)at % (u32)features;
        dx[at] = Narrow<T>::of(wide(g[n]) * (weight[k] + embed[(size_t)classes[n % (u32)given] * features + k]));
    }
}
#define P_PROJECTION_INPUT_GRAD(T) (const T* g, const float* weight, const float* embed, T* dx, u64 count, int features, const u32* classes, int given)
EACH_TYPE(projection_input_grad, P_PROJECTION_INPUT_GRAD, (g, weight, embed, dx, count, features, classes, given))

// Gradient by the rows of the classes, or by the weights without classes.
template <class T> __device__ __forceinline__ void projection_grad(const T* x, const T* g, float* rows, u64 count, int samples, int features, const u32* classes, int given) {
    FOR_NUMBERS(count) {
        u32 of = (u32)at / (u32)features, k = (u32)at % (u32)features;
        double sum = 0.0;
        for (int n = 0; n < samples; ++n)
            if (!classes || classes[n % given] == of) sum += wide(g[n]) * wide(x[(size_t)n * features + k]);
        rows[at] = (float)sum;
    }
}
#define P_PROJECTION_GRAD(T) (const T* x, const T* g, float* rows, u64 count, int samples, int features, const u32* classes, int given)
EACH_TYPE(projection_grad, P_PROJECTION_GRAD, (x, g, rows, count, samples, features, classes, given))
