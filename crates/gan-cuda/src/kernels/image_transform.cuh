// A transformation of each image, whose numbers are those of gan-kernels' ImageTransform. Each image has a block.
#pragma once
#include "reductions.cuh"

struct ImageTransform {
    float pixel, gray, mean, alpha, bias;
    int down, across, top, bottom, left, right;
    __device__ __forceinline__ ImageTransform(const float* by)
        : pixel(by[0]), gray(by[1]), mean(by[2]), alpha(by[3]), bias(by[4]), down((int)by[5]), across((int)by[6]), top((int)by[7]), bottom((int)by[8]), left((int)by[9]), right((int)by[10]) {}
    __device__ __forceinline__ bool cuts(int i, int j) const { return i >= top && i < bottom && j >= left && j < right; }
};

template <class T> __device__ __forceinline__ void transform_images(const T* x, T* y, const float* all, int h, int w, int c, int colors, int is_grad) {
    ImageTransform by(all + (size_t)blockIdx.x * 11);
    size_t start = (size_t)blockIdx.x * h * w * c;
    x += start;
    y += start;
    int pixels = h * w;
    float constant = is_grad ? 0.0f : by.bias;
    if (by.mean != 0.0f) {
        double sum = 0.0;
        for (int p = threadIdx.x; p < pixels; p += blockDim.x) {
            int i = p / w, j = p % w, a = i - by.down, b = j - by.across;
            // A gradient reaches the image from pixels that were kept and come from it.
            if (is_grad && (by.cuts(i, j) || a < 0 || a >= h || b < 0 || b >= w)) continue;
            for (int k = 0; k < colors; ++k) sum += (double)wide(x[(size_t)p * c + k]);
        }
        constant += by.mean * (float)(over_block(sum) / ((double)pixels * colors));
    }
    int sign = is_grad ? 1 : -1;
    for (int p = threadIdx.x; p < pixels; p += blockDim.x) {
        int i = p / w, j = p % w, a = i + sign * by.down, b = j + sign * by.across;
        bool has = a >= 0 && a < h && b >= 0 && b < w && !(is_grad ? by.cuts(a, b) : by.cuts(i, j));
        const T* from = x + (size_t)(has ? a * w + b : 0) * c;
        T* to = y + (size_t)p * c;
        float sum = 0.0f;
        if (has) for (int k = 0; k < colors; ++k) sum += wide(from[k]);
        float more = constant + by.gray * sum / (float)colors;
        if (has && !is_grad && colors < c) more += by.alpha * wide(from[colors]);
        for (int k = 0; k < c; ++k) {
            float v = has ? wide(from[k]) : 0.0f;
            if (k < colors && (has || is_grad)) v = by.pixel * v + more;
            if (k == colors && is_grad) v += by.alpha * sum;
            to[k] = Narrow<T>::of(v);
        }
    }
}
#define P_TRANSFORM_IMAGES(T) (const T* x, T* y, const float* by, int h, int w, int c, int colors, int is_grad)
EACH_TYPE(transform_images, P_TRANSFORM_IMAGES, (x, y, by, h, w, c, colors, is_grad))
