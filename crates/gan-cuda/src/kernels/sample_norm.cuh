// Norms whose statistics, or whose gamma and beta, are those of each sample. The formulas are in sample_norm.rs.
//
// A cell is a channel of a sample. It has mean, inverse deviation r, gamma and beta: cells[sample][4][channels]. Sums over a cell's rows are
// taken in stages, as those of batch norm, with the samples as groups.
#pragma once
#include "reductions.cuh"
#include "sums.cuh"

// Sets of cells that share their statistics: neighboring channels of one sample, or one channel of several samples. `inverse_count` is that of
// a set's numbers, or 0 if the statistics were given; `blocks` is the number of partial sums of each cell.
struct Sets { u64 count; double inverse_count; int size, is_of_channels, channels, blocks; };

// Rows of gamma and beta, of which a sample uses that of its class.
struct Affine { const float* gamma; const float* beta; const u32* classes; int given; };

__device__ __forceinline__ void write_cell(float* cell, int channels, int sample, int channel, float mean, double r, Affine by) {
    size_t at = (size_t)(by.classes ? by.classes[(u32)sample % (u32)by.given] : 0u) * channels + channel;
    cell[0] = mean;
    cell[channels] = (float)r;
    cell[2 * channels] = by.gamma ? by.gamma[at] : 1.0f;
    cell[3 * channels] = by.beta ? by.beta[at] : 0.0f;
}

// A cell of a set: where its numbers begin in lists of n numbers for each channel of each sample.
struct Cell {
    u32 sample, channel;
    __device__ __forceinline__ Cell(Sets by, u64 set, int i) {
        u32 channels = (u32)by.channels;
        if (by.is_of_channels) { sample = (u32)(set / channels) * by.size + i; channel = (u32)(set % channels); }
        else { u64 cell = set * by.size + i; sample = (u32)(cell / channels); channel = (u32)(cell % channels); }
    }
    __device__ __forceinline__ size_t at(int n, int channels) const { return (size_t)sample * n * channels + channel; }
};
#define FOR_CELLS(by) for (int i = threadIdx.x; i < (by).size; i += blockDim.x)

// Adds the K sums of a cell over all blocks.
template <int K> __device__ __forceinline__ void cell_total(Sets by, Cell cell, const float* partial, double* sums) {
    const float* from = partial + cell.at(by.blocks * K, by.channels);
    for (int k = 0; k < K; ++k) sums[k] = 0.0;
    for (int b = 0; b < by.blocks; ++b)
        for (int k = 0; k < K; ++k) sums[k] += from[((size_t)b * K + k) * by.channels];
}

// Cells of statistics over groups of channels, from the sums of `moments`. A group has a row of threads.
template <class T> __device__ __forceinline__ void cells_of_groups(Sets by, const T* x, const float* partial, int rows, double eps, Affine affine, float* cells) {
    FOR_THREAD_ROWS(by.count) {
        u64 set = first + threadIdx.y;
        bool is = set < by.count;
        double sum = 0.0;
        if (is) FOR_CELLS(by) {
            Cell cell(by, set, i);
            double sums[2];
            cell_total<2>(by, cell, partial, sums);
            double offset = sums[0] / rows, variance = sums[1] / rows - offset * offset;
            // A maximum would turn a NaN into 0.
            if (variance < 0.0) variance = 0.0;
            double mean = offset + (double)wide(x[(size_t)cell.sample * rows * by.channels + cell.channel]);
            float* to = cells + cell.at(4, by.channels);
            to[0] = (float)mean;
            to[by.channels] = (float)variance;
            sum += mean;
        }
        double mean = across(sum) / by.size, spread = 0.0;
        if (is) FOR_CELLS(by) {
            const float* from = cells + Cell(by, set, i).at(4, by.channels);
            double off = from[0] - mean;
            spread += from[by.channels] + off * off;
        }
        double r = 1.0 / sqrt(across(spread) / by.size + eps);
        if (is) FOR_CELLS(by) {
            Cell cell(by, set, i);
            write_cell(cells + cell.at(4, by.channels), by.channels, cell.sample, cell.channel, (float)mean, r, affine);
        }
    }
}
#define P_CELLS_OF_GROUPS(T) (Sets by, const T* x, const float* partial, int rows, double eps, Affine affine, float* cells)
EACH_TYPE(cells_of_groups, P_CELLS_OF_GROUPS, (by, x, partial, rows, eps, affine, cells))

// Cells of a batch norm's statistics, of which `samples` samples after another share one.
extern "C" __global__ void __launch_bounds__(256) cells_of_batch(const float* stat, u64 count, int channels, int samples, double eps, Affine affine, float* cells) {
    FOR_NUMBERS(count) {
        int sample = (int)((u32)at / (u32)channels), channel = (int)((u32)at % (u32)channels);
        const float* of = stat + (size_t)(sample / samples) * 3 * channels + channel;
        double r = 1.0 / sqrt((double)of[channels] + eps);
        write_cell(cells + (size_t)sample * 4 * channels + channel, channels, sample, channel, of[2 * channels], r, affine);
    }
}

// The walks over the numbers of a sample, which is the third index of the block; a thread has its channels.
#define CELL_PLACE() \
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N; \
    size_t start = (size_t)blockIdx.z * rows * channels; \
    const float* cell = cells + (size_t)blockIdx.z * 4 * channels

template <class L> __device__ __forceinline__ Channels<L> channels_of(const float* cell, int c, int channels) {
    Channels<L> by;
    for (int i = 0; i < L::N; ++i) {
        by.centre[i] = cell[c + i];
        by.scale[i] = cell[2 * channels + c + i] * cell[channels + c + i];
        by.shift[i] = cell[3 * channels + c + i];
    }
    return by;
}

template <class L> __device__ __forceinline__ void cell_norm(const typename L::type* x, typename L::type* y, int rows, int channels, const float* cells, float slope) {
    CELL_PLACE();
    if (c >= channels) return;
    Channels<L> by = channels_of<L>(cell, c, channels);
#pragma unroll 4
    FOR_ROWS(rows) {
        size_t at = start + (size_t)r * channels + c;
        float v[L::N];
        L::load(x + at, v);
        for (int i = 0; i < L::N; ++i) {
            float z = (v[i] - by.centre[i]) * by.scale[i] + by.shift[i];
            v[i] = z > 0.0f ? z : slope * z;
        }
        L::store(y + at, v);
    }
}
#define P_CELL_NORM(T) (const T* x, T* y, int rows, int channels, const float* cells, float slope)
EACH_LANES(cell_norm, P_CELL_NORM, (x, y, rows, channels, cells, slope))

// Sums of u' and of u'·(x - mean), with u' the numbers u before an activation.
template <class L> __device__ __forceinline__ void cell_sums(const typename L::type* x, const typename L::type* u, int rows, int channels, const float* cells, float slope, float* partial) {
    CELL_PLACE();
    float s[L::N], q[L::N];
    for (int i = 0; i < L::N; ++i) s[i] = q[i] = 0.0f;
    if (c < channels) {
        Channels<L> by = channels_of<L>(cell, c, channels);
#pragma unroll 4
        FOR_ROWS(rows) {
            size_t at = start + (size_t)r * channels + c;
            float a[L::N], b[L::N];
            L::load(x + at, a);
            L::load(u + at, b);
            for (int i = 0; i < L::N; ++i) {
                float d = by.before_act(i, a[i], b[i], slope);
                s[i] += d;
                q[i] += d * (a[i] - by.centre[i]);
            }
        }
    }
    store_sums<L>(s, q, c, channels, partial);
}
#define P_CELL_SUMS(T) (const T* x, const T* u, int rows, int channels, const float* cells, float slope, float* partial)
EACH_LANES(cell_sums, P_CELL_SUMS, (x, u, rows, channels, cells, slope, partial))

// From the sums of `cell_sums`, the factors of u', x - mean and 1 in outer·r·P(inner·u'): gamma is the inner factor of a gradient and the outer
// one of a tangent. `of_rows` gets each cell's gradients by gamma and beta. A set has a row of threads.
extern "C" __global__ void __launch_bounds__(256) cell_finish(Sets by, const float* partial, const float* cells, int is_gradient, float* factors, double* of_rows) {
    int channels = by.channels;
    FOR_THREAD_ROWS(by.count) {
        u64 set = first + threadIdx.y;
        bool is = set < by.count;
        double even = 0.0, along = 0.0;
        if (is) FOR_CELLS(by) {
            Cell cell(by, set, i);
            const float* of = cells + cell.at(4, channels);
            double sums[2], r = of[channels], inner = is_gradient ? of[2 * channels] : 1.0f;
            cell_total<2>(by, cell, partial, sums);
            even += inner * sums[0];
            along += inner * r * sums[1];
            if (of_rows) {
                double* to = of_rows + cell.at(2, channels);
                to[0] = r * sums[1];
                to[channels] = sums[0];
            }
        }
        even = across(even) * by.inverse_count;
        along = across(along) * by.inverse_count;
        if (is) FOR_CELLS(by) {
            Cell cell(by, set, i);
            const float* of = cells + cell.at(4, channels);
            double r = of[channels], gamma = of[2 * channels], outer = is_gradient ? 1.0 : gamma;
            float* to = factors + cell.at(3, channels);
            to[0] = (float)(gamma * r);
            to[channels] = (float)(-outer * r * r * along);
            to[2 * channels] = (float)(-outer * r * even);
        }
    }
}

// u <- factors·[u', x - mean, 1].
template <class L> __device__ __forceinline__ void cell_update(const typename L::type* x, typename L::type* u, int rows, int channels, const float* cells, float slope, const float* factors) {
    CELL_PLACE();
    if (c >= channels) return;
    Channels<L> by = channels_of<L>(cell, c, channels);
    const float* factor = factors + (size_t)blockIdx.z * 3 * channels + c;
#pragma unroll 4
    FOR_ROWS(rows) {
        size_t at = start + (size_t)r * channels + c;
        float a[L::N], b[L::N];
        L::load(x + at, a);
        L::load(u + at, b);
        for (int i = 0; i < L::N; ++i)
            b[i] = factor[i] * by.before_act(i, a[i], b[i], slope) + factor[channels + i] * (a[i] - by.centre[i]) + factor[2 * channels + i];
        L::store(u + at, b);
    }
}
#define P_CELL_UPDATE(T) (const T* x, T* u, int rows, int channels, const float* cells, float slope, const float* factors)
EACH_LANES(cell_update, P_CELL_UPDATE, (x, u, rows, channels, cells, slope, factors))

// Adds the gradients of the cells by gamma and beta whose samples use a row, for each of the rows' `count` numbers.
extern "C" __global__ void __launch_bounds__(256) cell_rows(const double* of_rows, u64 count, int samples, int channels, const u32* classes, int given, float* dgamma, float* dbeta) {
    FOR_NUMBERS(count) {
        u32 row = (u32)at / (u32)channels, channel = (u32)at % (u32)channels;
        double of_gamma = 0.0, of_beta = 0.0;
        for (int n = 0; n < samples; ++n) {
            if (classes && classes[n % given] != row) continue;
            const double* from = of_rows + (size_t)n * 2 * channels + channel;
            of_gamma += from[0];
            of_beta += from[channels];
        }
        dgamma[at] = (float)of_gamma;
        dbeta[at] = (float)of_beta;
    }
}
