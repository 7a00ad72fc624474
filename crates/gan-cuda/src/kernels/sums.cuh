// Sums over the rows of each channel, in two stages whose order depends on the shape alone.
//
// The first stage adds the rows of a block, the second one the blocks. There are no atomics.
#pragma once
#include "numbers.cuh"

// Two sums over the rows of each channel: this block's part of the rows, to partial[group][block][2][channels]. Groups are equal parts of a
// batch, each with `rows` rows and statistics of its own.
template <class L> __device__ __forceinline__ void store_sums(const float* first, const float* second, int c, int channels, float* partial) {
    DYNAMIC_SHARED(float, scratch);  // [threads of a row of threads][2·N] for each row of threads
    int width = blockDim.x * 2 * L::N;
    float* mine = scratch + threadIdx.y * width + threadIdx.x * 2 * L::N;
    for (int i = 0; i < L::N; ++i) { mine[i] = first[i]; mine[L::N + i] = second[i]; }
    __syncthreads();
    // Rows of threads are added in their order.
    if (threadIdx.y == 0 && c < channels) {
        float sum[2 * L::N];
        for (int i = 0; i < 2 * L::N; ++i) sum[i] = mine[i];
        for (int y = 1; y < (int)blockDim.y; ++y)
            for (int i = 0; i < 2 * L::N; ++i) sum[i] += mine[y * width + i];
        float* to = partial + ((size_t)blockIdx.z * gridDim.y + blockIdx.y) * 2 * channels + c;
        for (int i = 0; i < L::N; ++i) { to[i] = sum[i]; to[channels + i] = sum[L::N + i]; }
    }
}

#define OF_GROUP(x) ((x) + (size_t)blockIdx.z * rows * channels)

// Sums of the differences to the first row, and of their squares: a large mean does not swallow the spread.
template <class L> __device__ __forceinline__ void moments(const typename L::type* x, int rows, int channels, float* partial) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    float s[L::N], q[L::N], pilot[L::N];
    x = OF_GROUP(x);
    for (int i = 0; i < L::N; ++i) s[i] = q[i] = pilot[i] = 0.0f;
    if (c < channels) {
        L::load(x + c, pilot);
#pragma unroll 4
        FOR_ROWS(rows) {
            float v[L::N];
            L::load(x + (size_t)r * channels + c, v);
            for (int i = 0; i < L::N; ++i) { float d = v[i] - pilot[i]; s[i] += d; q[i] += d * d; }
        }
    }
    store_sums<L>(s, q, c, channels, partial);
}
#define P_MOMENTS(T) (const T* x, int rows, int channels, float* partial)
EACH_LANES(moments, P_MOMENTS, (x, rows, channels, partial))

// What normalizes the channels of a lane: y = act((x - centre)·scale + shift).
template <class L> struct Channels {
    float centre[L::N], scale[L::N], shift[L::N];
    __device__ __forceinline__ void load(int c, int channels, const float* stat, const float* gamma, const float* beta, float eps) {
        for (int i = 0; i < L::N; ++i) {
            float r = 1.0f / sqrtf(stat[channels + c + i] + eps);
            centre[i] = stat[2 * channels + c + i];
            scale[i] = gamma ? gamma[c + i] * r : 1.0f;
            shift[i] = beta ? beta[c + i] : 0.0f;
        }
    }
    // The gradient before the activation.
    __device__ __forceinline__ float before_act(int i, float x, float g, float slope) const {
        return (x - centre[i]) * scale[i] + shift[i] > 0.0f ? g : slope * g;
    }
};

// Sums of g' and g'·(x - centre).
template <class L> __device__ __forceinline__ void grad_sums(const typename L::type* x, const typename L::type* g, int rows, int channels, const float* stat, const float* gamma, const float* beta, float eps, float slope, float* partial) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    float s[L::N], q[L::N];
    for (int i = 0; i < L::N; ++i) s[i] = q[i] = 0.0f;
    x = OF_GROUP(x);
    g = OF_GROUP(g);
    stat += blockIdx.z * 3 * channels;
    if (c < channels) {
        Channels<L> by;
        by.load(c, channels, stat, gamma, beta, eps);
#pragma unroll 4
        FOR_ROWS(rows) {
            float a[L::N], b[L::N];
            L::load(x + (size_t)r * channels + c, a);
            L::load(g + (size_t)r * channels + c, b);
            for (int i = 0; i < L::N; ++i) {
                float d = by.before_act(i, a[i], b[i], slope);
                s[i] += d;
                q[i] += d * (a[i] - by.centre[i]);
            }
        }
    }
    store_sums<L>(s, q, c, channels, partial);
}
#define P_GRAD_SUMS(T) (const T* x, const T* g, int rows, int channels, const float* stat, const float* gamma, const float* beta, float eps, float slope, float* partial)
EACH_LANES(grad_sums, P_GRAD_SUMS, (x, g, rows, channels, stat, gamma, beta, eps, slope, partial))

// Sums of a, and of a·b.
template <class L> __device__ __forceinline__ void dot_sums(const typename L::type* a, const typename L::type* b, int rows, int channels, float* partial) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    float s[L::N], q[L::N];
    for (int i = 0; i < L::N; ++i) s[i] = q[i] = 0.0f;
    if (c < channels) {
#pragma unroll 4
        FOR_ROWS(rows) {
            float v[L::N], w[L::N];
            L::load(a + (size_t)r * channels + c, v);
            for (int i = 0; i < L::N; ++i) s[i] += v[i];
            if (b) {
                L::load(b + (size_t)r * channels + c, w);
                for (int i = 0; i < L::N; ++i) q[i] += v[i] * w[i];
            }
        }
    }
    store_sums<L>(s, q, c, channels, partial);
}
#define P_DOT_SUMS(T) (const T* a, const T* b, int rows, int channels, float* partial)
EACH_LANES(dot_sums, P_DOT_SUMS, (a, b, rows, channels, partial))

// Adds the blocks' sums of a channel in f64; 32 channels by 16 rows of threads. Returns whether this thread has the result.
__device__ __forceinline__ bool add_partials(const float* partial, int blocks, int channels, int c, double* sums) {
    __shared__ double part[2][16][32];
    double s = 0.0, q = 0.0;
    if (c < channels)
        for (int b = threadIdx.y; b < blocks; b += 16) {
            s += partial[(size_t)b * 2 * channels + c];
            q += partial[(size_t)b * 2 * channels + channels + c];
        }
    part[0][threadIdx.y][threadIdx.x] = s;
    part[1][threadIdx.y][threadIdx.x] = q;
    __syncthreads();
    if (threadIdx.y != 0 || c >= channels) return false;
    s = q = 0.0;
    for (int y = 0; y < 16; ++y) { s += part[0][y][threadIdx.x]; q += part[1][y][threadIdx.x]; }
    sums[0] = s;
    sums[1] = q;
    return true;
}

// stat = [mean with the bias, biased variance, mean without the bias] of each channel.
template <class T> __device__ __forceinline__ void moments_finish(const float* partial, int blocks, int channels, int rows, const T* x, const float* bias, float* stat) {
    int c = blockIdx.x * 32 + threadIdx.x;
    double sums[2];
    // One row of blocks for each group.
    partial += (size_t)blockIdx.y * blocks * 2 * channels;
    x += (size_t)blockIdx.y * rows * channels;
    stat += blockIdx.y * 3 * channels;
    if (!add_partials(partial, blocks, channels, c, sums)) return;
    double offset = sums[0] / rows, variance = sums[1] / rows - offset * offset;
    // A maximum would turn a NaN into 0.
    if (variance < 0.0) variance = 0.0;
    float centre = (float)(offset + (double)wide(x[c]));
    stat[c] = centre + (bias ? bias[c] : 0.0f);
    stat[channels + c] = (float)variance;
    stat[2 * channels + c] = centre;
}
#define P_MOMENTS_FINISH(T) (const float* partial, int blocks, int channels, int rows, const T* x, const float* bias, float* stat)
EACH_TYPE_512(moments_finish, P_MOMENTS_FINISH, (partial, blocks, channels, rows, x, bias, stat))

// Gradients by gamma and beta, which are summed over the groups, and for each group the coefficients [even, along] of the gradient by x;
// `inverse_count` is 0 for given statistics.
extern "C" __global__ void __launch_bounds__(512) grad_finish(const float* partial, int blocks, int channels, double inverse_count, const float* stat, const float* gamma, float eps, float* dgamma, float* dbeta, float* along, int groups) {
    int c = blockIdx.x * 32 + threadIdx.x;
    double of_gamma = 0.0, of_beta = 0.0;
    for (int group = 0; group < groups; ++group) {
        double sums[2];
        if (add_partials(partial + (size_t)group * blocks * 2 * channels, blocks, channels, c, sums)) {
            double r = 1.0 / sqrt((double)stat[(group * 3 + 1) * channels + c] + (double)eps);
            double scale = gamma[c] * r;
            of_gamma += sums[1] * r;
            of_beta += sums[0];
            along[group * 2 * channels + c] = (float)(scale * sums[0] * inverse_count);
            along[(group * 2 + 1) * channels + c] = (float)(scale * r * r * sums[1] * inverse_count);
        }
        // The next group's sums go to the same place.
        __syncthreads();
    }
    if (threadIdx.y != 0 || c >= channels) return;
    if (dgamma) dgamma[c] = (float)of_gamma;
    if (dbeta) dbeta[c] = (float)of_beta;
}

extern "C" __global__ void __launch_bounds__(512) sums_finish(const float* partial, int blocks, int channels, float* first, float* second) {
    int c = blockIdx.x * 32 + threadIdx.x;
    double sums[2];
    if (!add_partials(partial, blocks, channels, c, sums)) return;
    if (first) first[c] = (float)sums[0];
    if (second) second[c] = (float)sums[1];
}

// Both stages in one kernel: the block that ends last adds the sums of all blocks, in the same order whichever it is.

// Returns whether this block is the last with its channels; all sums of the others can then be read. `tickets` is left at 0.
__device__ __forceinline__ bool is_last(u32* tickets) {
    __shared__ u32 ticket;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) ticket = atomicAdd(&tickets[blockIdx.x], 1u);
    __syncthreads();
    bool last = ticket == gridDim.y * gridDim.z - 1;
    if (last) {
        if (threadIdx.x == 0 && threadIdx.y == 0) tickets[blockIdx.x] = 0;
        __threadfence();
    }
    return last;
}

// Adds all blocks' sums of one group. The first row of threads has the results.
template <class L> __device__ __forceinline__ void add_all(const volatile float* partial, int c, int channels, double* sums) {
    DYNAMIC_SHARED(double, wide_scratch);
    double own[2 * L::N];
    for (int i = 0; i < 2 * L::N; ++i) own[i] = 0.0;
    if (c < channels)
        for (int b = threadIdx.y; b < (int)gridDim.y; b += blockDim.y)
            for (int i = 0; i < L::N; ++i) {
                own[i] += partial[(size_t)b * 2 * channels + c + i];
                own[L::N + i] += partial[(size_t)b * 2 * channels + channels + c + i];
            }
    int width = blockDim.x * 2 * L::N;
    double* mine = wide_scratch + threadIdx.y * width + threadIdx.x * 2 * L::N;
    __syncthreads();
    for (int i = 0; i < 2 * L::N; ++i) mine[i] = own[i];
    __syncthreads();
    if (threadIdx.y == 0)
        for (int i = 0; i < 2 * L::N; ++i) {
            double sum = 0.0;
            for (int y = 0; y < (int)blockDim.y; ++y) sum += mine[y * width + i];
            sums[i] = sum;
        }
}

template <class L> __device__ __forceinline__ void moments_all(const typename L::type* x, int rows, int channels, float* partial, const float* bias, float* stat, u32* tickets) {
    moments<L>(x, rows, channels, partial);
    if (!is_last(tickets)) return;
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    for (int group = 0; group < (int)gridDim.z; ++group) {
        double sums[2 * L::N];
        add_all<L>(partial + (size_t)group * gridDim.y * 2 * channels, c, channels, sums);
        if (threadIdx.y != 0 || c >= channels) continue;
        float pilot[L::N];
        L::load(x + (size_t)group * rows * channels + c, pilot);
        float* to = stat + group * 3 * channels + c;
        for (int i = 0; i < L::N; ++i) {
            double offset = sums[i] / rows, variance = sums[L::N + i] / rows - offset * offset;
            if (variance < 0.0) variance = 0.0;
            float centre = (float)(offset + (double)pilot[i]);
            to[i] = centre + (bias ? bias[c + i] : 0.0f);
            to[channels + i] = (float)variance;
            to[2 * channels + i] = centre;
        }
    }
}
#define P_MOMENTS_ALL(T) (const T* x, int rows, int channels, float* partial, const float* bias, float* stat, u32* tickets)
EACH_LANES(moments_all, P_MOMENTS_ALL, (x, rows, channels, partial, bias, stat, tickets))

template <class L> __device__ __forceinline__ void grad_sums_all(const typename L::type* x, const typename L::type* g, int rows, int channels, const float* stat, const float* gamma, const float* beta, float eps, float slope, float* partial, double inverse_count, float* dgamma, float* dbeta, float* along, u32* tickets) {
    grad_sums<L>(x, g, rows, channels, stat, gamma, beta, eps, slope, partial);
    if (!is_last(tickets)) return;
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    double of_gamma[L::N], of_beta[L::N];
    for (int i = 0; i < L::N; ++i) of_gamma[i] = of_beta[i] = 0.0;
    for (int group = 0; group < (int)gridDim.z; ++group) {
        double sums[2 * L::N];
        add_all<L>(partial + (size_t)group * gridDim.y * 2 * channels, c, channels, sums);
        if (threadIdx.y != 0 || c >= channels) continue;
        for (int i = 0; i < L::N; ++i) {
            double r = 1.0 / sqrt((double)stat[(group * 3 + 1) * channels + c + i] + (double)eps);
            double scale = gamma[c + i] * r;
            of_gamma[i] += sums[L::N + i] * r;
            of_beta[i] += sums[i];
            along[group * 2 * channels + c + i] = (float)(scale * sums[i] * inverse_count);
            along[(group * 2 + 1) * channels + c + i] = (float)(scale * r * r * sums[L::N + i] * inverse_count);
        }
    }
    if (threadIdx.y != 0 || c >= channels) return;
    for (int i = 0; i < L::N; ++i) {
        if (dgamma) dgamma[c + i] = (float)of_gamma[i];
        if (dbeta) dbeta[c + i] = (float)of_beta[i];
    }
}
#define P_GRAD_SUMS_ALL(T) (const T* x, const T* g, int rows, int channels, const float* stat, const float* gamma, const float* beta, float eps, float slope, float* partial, double inverse_count, float* dgamma, float* dbeta, float* along, u32* tickets)
EACH_LANES(grad_sums_all, P_GRAD_SUMS_ALL, (x, g, rows, channels, stat, gamma, beta, eps, slope, partial, inverse_count, dgamma, dbeta, along, tickets))
