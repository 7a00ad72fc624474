// Adjoints of the directional derivatives of norms whose factors differ between samples. The formulas are in sample_norm.rs.
#pragma once
#include "sample_norm.cuh"

// With d = x - mean, tangents t, and the adjoints h of tangents and g of values (zero without it): [Σh, Σhd, Σt, Σtd, Σht, Σg, Σgd].
const int JVP_SUMS = 7;

template <class L> __device__ __forceinline__ void cell_jvp_sums(const typename L::type* x, const typename L::type* t, const typename L::type* h, const typename L::type* g, int rows, int channels, const float* cells, float* partial) {
    DYNAMIC_SHARED(float, scratch);  // [threads of a row of threads][N] for each row of threads
    CELL_PLACE();
    float sums[JVP_SUMS][L::N];
    for (int k = 0; k < JVP_SUMS; ++k)
        for (int i = 0; i < L::N; ++i) sums[k][i] = 0.0f;
    if (c < channels) {
        float mean[L::N];
        for (int i = 0; i < L::N; ++i) mean[i] = cell[c + i];
        FOR_ROWS(rows) {
            size_t at = start + (size_t)r * channels + c;
            float u[L::N], v[L::N], w[L::N], z[L::N];
            L::load(x + at, u);
            L::load(t + at, v);
            L::load(h + at, w);
            if (g) L::load(g + at, z);
            for (int i = 0; i < L::N; ++i) {
                float d = u[i] - mean[i];
                sums[0][i] += w[i];
                sums[1][i] += w[i] * d;
                sums[2][i] += v[i];
                sums[3][i] += v[i] * d;
                sums[4][i] += w[i] * v[i];
                if (g) { sums[5][i] += z[i]; sums[6][i] += z[i] * d; }
            }
        }
    }
    int width = blockDim.x * L::N;
    float* mine = scratch + threadIdx.y * width + threadIdx.x * L::N;
    float* to = partial + ((size_t)blockIdx.z * gridDim.y + blockIdx.y) * JVP_SUMS * channels + c;
    for (int k = 0; k < JVP_SUMS; ++k) {
        for (int i = 0; i < L::N; ++i) mine[i] = sums[k][i];
        __syncthreads();
        // Rows of threads are added in their order.
        if (threadIdx.y == 0 && c < channels)
            for (int i = 0; i < L::N; ++i) {
                float sum = mine[i];
                for (int y = 1; y < (int)blockDim.y; ++y) sum += mine[y * width + i];
                to[(size_t)k * channels + i] = sum;
            }
        __syncthreads();
    }
}
#define P_CELL_JVP_SUMS(T) (const T* x, const T* t, const T* h, const T* g, int rows, int channels, const float* cells, float* partial)
EACH_LANES(cell_jvp_sums, P_CELL_JVP_SUMS, (x, t, h, g, rows, channels, cells, partial))

// The factors of g, h, t, d and 1 in the adjoint of x, and of d and 1 in that of t, where h has the factor of g. A set has a row of threads.
const int JVP_FACTORS = 7;

extern "C" __global__ void __launch_bounds__(256) cell_jvp_finish(Sets by, const float* partial, const float* cells, float* factors, double* of_rows) {
    int channels = by.channels;
    FOR_THREAD_ROWS(by.count) {
        u64 set = first + threadIdx.y;
        bool is = set < by.count;
        double mean_h = 0.0, b = 0.0, mean_t = 0.0, a = 0.0, product = 0.0, mean_g = 0.0, along_g = 0.0, s[JVP_SUMS];
        if (is) FOR_CELLS(by) {
            Cell cell(by, set, i);
            const float* of = cells + cell.at(4, channels);
            double r = of[channels], gamma = of[2 * channels];
            cell_total<JVP_SUMS>(by, cell, partial, s);
            mean_h += gamma * s[0];
            b += gamma * r * s[1];
            mean_t += s[2];
            a += r * s[3];
            product += gamma * s[4];
            mean_g += gamma * s[5];
            along_g += gamma * r * s[6];
        }
        mean_h = across(mean_h) * by.inverse_count;
        b = across(b) * by.inverse_count;
        mean_t = across(mean_t) * by.inverse_count;
        a = across(a) * by.inverse_count;
        mean_g = across(mean_g) * by.inverse_count;
        along_g = across(along_g) * by.inverse_count;
        double k = across(product) * by.inverse_count - mean_h * mean_t - a * b;
        if (is) FOR_CELLS(by) {
            Cell cell(by, set, i);
            const float* of = cells + cell.at(4, channels);
            double r = of[channels], gamma = of[2 * channels], square = r * r;
            float* to = factors + cell.at(JVP_FACTORS, channels);
            to[0] = (float)(r * gamma);
            to[channels] = (float)(-square * a * gamma);
            to[2 * channels] = (float)(-square * b);
            to[3 * channels] = (float)(square * r * (2.0 * a * b - k) - square * along_g);
            to[4 * channels] = (float)(square * (a * mean_h + b * mean_t) - r * mean_g);
            to[5 * channels] = (float)(-square * b);
            to[6 * channels] = (float)(-r * mean_h);
            if (of_rows) {
                cell_total<JVP_SUMS>(by, cell, partial, s);
                double* rows = of_rows + cell.at(2, channels);
                rows[0] = r * s[6] + r * (s[4] - mean_t * s[0] - a * r * s[1]);
                rows[channels] = s[5];
            }
        }
    }
}

template <class L> __device__ __forceinline__ void cell_jvp_update(const typename L::type* x, const typename L::type* t, const typename L::type* h, const typename L::type* g, typename L::type* xbar, typename L::type* tbar, int rows, int channels, const float* cells, const float* factors) {
    CELL_PLACE();
    if (c >= channels) return;
    const float* factor = factors + (size_t)blockIdx.z * JVP_FACTORS * channels + c;
    FOR_ROWS(rows) {
        size_t at = start + (size_t)r * channels + c;
        float u[L::N], v[L::N], w[L::N], z[L::N];
        L::load(x + at, u);
        L::load(t + at, v);
        L::load(h + at, w);
        if (g) L::load(g + at, z);
        for (int i = 0; i < L::N; ++i) {
            const float* f = factor + i;
            float d = u[i] - cell[c + i];
            v[i] = f[channels] * w[i] + f[2 * channels] * v[i] + f[3 * channels] * d + f[4 * channels];
            if (g) v[i] += f[0] * z[i];
            w[i] = f[0] * w[i] + f[5 * channels] * d + f[6 * channels];
        }
        L::store(xbar + at, v);
        L::store(tbar + at, w);
    }
}
#define P_CELL_JVP_UPDATE(T) (const T* x, const T* t, const T* h, const T* g, T* xbar, T* tbar, int rows, int channels, const float* cells, const float* factors)
EACH_LANES(cell_jvp_update, P_CELL_JVP_UPDATE, (x, t, h, g, xbar, tbar, rows, channels, cells, factors))
