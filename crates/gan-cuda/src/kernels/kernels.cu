// Kernels of the CUDA backend, over channels-last arrays of f32 or bf16.
//
// build.sh compiles this text to kernels.ptx, which is checked in; the tests compile the same text with g++ over
// cuda_on_cpu.h. So it uses no header of CUDA, and bf16 numbers are their upper sixteen bits.
//
// Sums are taken in two stages whose order depends on the shape alone: no atomics, and the same bits in every run.

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#ifdef __CUDACC__
#define DYNAMIC_SHARED(T, name) extern __shared__ T name[]
__device__ __forceinline__ u32 bits_of(float x) { return __float_as_uint(x); }
__device__ __forceinline__ float of_bits(u32 x) { return __uint_as_float(x); }
#else
#define DYNAMIC_SHARED(T, name) T* name = (T*)emu::dynamic.data()
inline u32 bits_of(float x) { u32 u; memcpy(&u, &x, 4); return u; }
inline float of_bits(u32 u) { float x; memcpy(&x, &u, 4); return x; }
#endif

struct bf16 { u16 bits; };

__device__ __forceinline__ float wide(float x) { return x; }
__device__ __forceinline__ float wide(bf16 x) { return of_bits((u32)x.bits << 16); }
__device__ __forceinline__ u32 upper(float x) {
    u32 u = bits_of(x);
    // Rounding could turn a NaN into infinity.
    if ((u & 0x7fffffffu) > 0x7f800000u) return (u >> 16) | 0x40u;
    return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}
template <class T> struct Narrow;
template <> struct Narrow<float> { static __device__ __forceinline__ float of(float x) { return x; } };
template <> struct Narrow<bf16> { static __device__ __forceinline__ bf16 of(float x) { bf16 r; r.bits = (u16)upper(x); return r; } };

// A lane reads and writes N neighboring numbers: 16 bytes if lengths and addresses allow it, else one number.
template <class T> struct One {
    typedef T type;
    static const int N = 1;
    static __device__ __forceinline__ void load(const T* p, float* v) { v[0] = wide(*p); }
    static __device__ __forceinline__ void store(T* p, const float* v) { *p = Narrow<T>::of(v[0]); }
};
template <class T> struct Many;
template <> struct Many<float> {
    typedef float type;
    static const int N = 4;
    static __device__ __forceinline__ void load(const float* p, float* v) {
        float4 q = *(const float4*)p;
        v[0] = q.x; v[1] = q.y; v[2] = q.z; v[3] = q.w;
    }
    static __device__ __forceinline__ void store(float* p, const float* v) {
        float4 q;
        q.x = v[0]; q.y = v[1]; q.z = v[2]; q.w = v[3];
        *(float4*)p = q;
    }
};
template <> struct Many<bf16> {
    typedef bf16 type;
    static const int N = 8;
    static __device__ __forceinline__ void two(u32 q, float* v) { v[0] = of_bits(q << 16); v[1] = of_bits(q & 0xffff0000u); }
    static __device__ __forceinline__ u32 both(const float* v) { return upper(v[0]) | (upper(v[1]) << 16); }
    static __device__ __forceinline__ void load(const bf16* p, float* v) {
        uint4 q = *(const uint4*)p;
        two(q.x, v); two(q.y, v + 2); two(q.z, v + 4); two(q.w, v + 6);
    }
    static __device__ __forceinline__ void store(bf16* p, const float* v) {
        uint4 q;
        q.x = both(v); q.y = both(v + 2); q.z = both(v + 4); q.w = both(v + 6);
        *(uint4*)p = q;
    }
};

// Defines a kernel for each number type, one and many numbers a lane.
#define EACH_LANES(name, parameters, arguments) \
    extern "C" __global__ void __launch_bounds__(256) name##_f32 parameters(float) { name<One<float> > arguments; } \
    extern "C" __global__ void __launch_bounds__(256) name##_f32v parameters(float) { name<Many<float> > arguments; } \
    extern "C" __global__ void __launch_bounds__(256) name##_bf16 parameters(bf16) { name<One<bf16> > arguments; } \
    extern "C" __global__ void __launch_bounds__(256) name##_bf16v parameters(bf16) { name<Many<bf16> > arguments; }
// Defines a kernel for each number type.
#define EACH_TYPE(name, parameters, arguments) \
    extern "C" __global__ void __launch_bounds__(256) name##_f32 parameters(float) { name<float> arguments; } \
    extern "C" __global__ void __launch_bounds__(256) name##_bf16 parameters(bf16) { name<bf16> arguments; }
#define EACH_TYPE_512(name, parameters, arguments) \
    extern "C" __global__ void __launch_bounds__(512) name##_f32 parameters(float) { name<float> arguments; } \
    extern "C" __global__ void __launch_bounds__(512) name##_bf16 parameters(bf16) { name<bf16> arguments; }

// ---------------------------------------------------------------------------------------------------------------- activations

enum { IDENTITY = 0, LEAKY = 1, TANH = 2, SIGMOID = 3 };

__device__ __forceinline__ float sigmoid(float x) {
    float e = expf(-fabsf(x));
    return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

__device__ __forceinline__ float activate(int act, float slope, float x) {
    if (act == LEAKY) return x > 0.0f ? x : slope * x;
    if (act == TANH) return tanhf(x);
    if (act == SIGMOID) return sigmoid(x);
    return x;
}

// x <- act(x + bias) over [rows, channels]; a thread has its channels and walks over rows.
template <class L> __device__ __forceinline__ void bias_act(typename L::type* x, const float* bias, int rows, int channels, int act, float slope) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * L::N;
    if (c >= channels) return;
    float b[L::N];
    for (int i = 0; i < L::N; ++i) b[i] = bias ? bias[c + i] : 0.0f;
    for (int r = blockIdx.y * blockDim.y + threadIdx.y; r < rows; r += gridDim.y * blockDim.y) {
        typename L::type* p = x + (size_t)r * channels + c;
        float v[L::N];
        L::load(p, v);
        for (int i = 0; i < L::N; ++i) v[i] = activate(act, slope, v[i] + b[i]);
        L::store(p, v);
    }
}
#define P_BIAS_ACT(T) (T* x, const float* bias, int rows, int channels, int act, float slope)
EACH_LANES(bias_act, P_BIAS_ACT, (x, bias, rows, channels, act, slope))

#define FOR_LANES(n) \
    for (size_t at = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * L::N; at < (n); at += (size_t)gridDim.x * blockDim.x * L::N)

// g <- g·act' from the output y.
template <class L> __device__ __forceinline__ void act_grad(const typename L::type* y, typename L::type* g, u64 n, int act, float slope) {
    FOR_LANES(n) {
        float a[L::N], b[L::N];
        L::load(y + at, a);
        L::load(g + at, b);
        for (int i = 0; i < L::N; ++i) {
            if (act == LEAKY) b[i] = a[i] > 0.0f ? b[i] : slope * b[i];
            if (act == TANH) b[i] *= 1.0f - a[i] * a[i];
        }
        L::store(g + at, b);
    }
}
#define P_ACT_GRAD(T) (const T* y, T* g, u64 n, int act, float slope)
EACH_LANES(act_grad, P_ACT_GRAD, (y, g, n, act, slope))

template <class L> __device__ __forceinline__ void in_act(const typename L::type* x, typename L::type* y, u64 n, int act, float slope) {
    FOR_LANES(n) {
        float a[L::N];
        L::load(x + at, a);
        for (int i = 0; i < L::N; ++i) a[i] = activate(act, slope, a[i]);
        L::store(y + at, a);
    }
}
#define P_IN_ACT(T) (const T* x, T* y, u64 n, int act, float slope)
EACH_LANES(in_act, P_IN_ACT, (x, y, n, act, slope))

template <class L> __device__ __forceinline__ void in_act_grad(const typename L::type* x, typename L::type* g, u64 n, int act, float slope) {
    FOR_LANES(n) {
        float a[L::N], b[L::N];
        L::load(x + at, a);
        L::load(g + at, b);
        for (int i = 0; i < L::N; ++i) {
            if (act == SIGMOID) b[i] *= sigmoid(a[i]) * sigmoid(-a[i]);
            else b[i] *= a[i] > 0.0f ? 1.0f : slope;
        }
        L::store(g + at, b);
    }
}
#define P_IN_ACT_GRAD(T) (const T* x, T* g, u64 n, int act, float slope)
EACH_LANES(in_act_grad, P_IN_ACT_GRAD, (x, g, n, act, slope))

template <class L> __device__ __forceinline__ void add_to(const typename L::type* x, typename L::type* y, u64 n) {
    FOR_LANES(n) {
        float a[L::N], b[L::N];
        L::load(x + at, a);
        L::load(y + at, b);
        for (int i = 0; i < L::N; ++i) b[i] += a[i];
        L::store(y + at, b);
    }
}
#define P_ADD_TO(T) (const T* x, T* y, u64 n)
EACH_LANES(add_to, P_ADD_TO, (x, y, n))

// y = x·scale where uniform >= rate, else 0. The random numbers are of the activations' type.
template <class L> __device__ __forceinline__ void dropout(const typename L::type* uniform, const typename L::type* x, typename L::type* y, u64 n, float rate, float scale) {
    FOR_LANES(n) {
        float u[L::N], a[L::N];
        L::load(uniform + at, u);
        L::load(x + at, a);
        for (int i = 0; i < L::N; ++i) a[i] = u[i] >= rate ? a[i] * scale : 0.0f;
        L::store(y + at, a);
    }
}
#define P_DROPOUT(T) (const T* uniform, const T* x, T* y, u64 n, float rate, float scale)
EACH_LANES(dropout, P_DROPOUT, (uniform, x, y, n, rate, scale))

// ------------------------------------------------------------------------------------------------------------ sums of channels

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
#define FOR_ROWS(rows) for (int r = blockIdx.y * blockDim.y + threadIdx.y; r < (rows); r += gridDim.y * blockDim.y)

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

// ------------------------------------------------------------------------------------------------------------------ batch norm

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

// --------------------------------------------------------------------------------------------------------------------- layouts

// [n, a, b] -> [n, b, to_a] with a <= to_a: rows of the source are `from_b` long, and what has no source is zero.
template <class S, class D> __device__ __forceinline__ void transpose(const S* x, D* y, int from_n, int a, int b, int from_b, int to_a) {
    __shared__ float tile[32][33];
    int n = blockIdx.z, left = blockIdx.x * 32, top = blockIdx.y * 32;
    const S* from = x + (size_t)n * a * from_b;
    D* to = y + (size_t)n * b * to_a;
    for (int i = threadIdx.y; i < 32; i += 8) {
        int row = top + i, column = left + threadIdx.x;
        tile[i][threadIdx.x] = n < from_n && row < a && column < b ? wide(from[(size_t)row * from_b + column]) : 0.0f;
    }
    __syncthreads();
    for (int i = threadIdx.y; i < 32; i += 8) {
        int row = left + i, column = top + threadIdx.x;
        if (row < b && column < to_a) to[(size_t)row * to_a + column] = Narrow<D>::of(tile[threadIdx.x][i]);
    }
}
#define TRANSPOSE(name, S, D) \
    extern "C" __global__ void __launch_bounds__(256) name(const S* x, D* y, int from_n, int a, int b, int from_b, int to_a) { transpose<S, D>(x, y, from_n, a, b, from_b, to_a); }
TRANSPOSE(transpose_f32_f32, float, float)
TRANSPOSE(transpose_f32_bf16, float, bf16)
TRANSPOSE(transpose_bf16_f32, bf16, float)
TRANSPOSE(transpose_bf16_bf16, bf16, bf16)

// The image's pixels: the numbers at [n, i, j, k] for a flat index, which fits into 32 bits: divisions of 64 bits cost more than memory.
struct Place { size_t n; int i, j, k; };
__device__ __forceinline__ Place place(size_t flat, int h, int w, int c) {
    Place p;
    u32 at = (u32)flat;
    p.k = (int)(at % (u32)c); at /= (u32)c;
    p.j = (int)(at % (u32)w); at /= (u32)w;
    p.i = (int)(at % (u32)h); p.n = at / (u32)h;
    return p;
}
#define FOR_NUMBERS(count) for (size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x; at < (count); at += (size_t)gridDim.x * blockDim.x)

// The same for few rows: a thread has a column. `count` is n·b.
template <class S, class D> __device__ __forceinline__ void transpose_few(const S* x, D* y, u64 count, int a, int b, int from_b, int to_a) {
    FOR_NUMBERS(count) {
        u32 n = (u32)at / (u32)b, column = (u32)at % (u32)b;
        const S* from = x + (size_t)n * a * from_b + column;
        for (int k = 0; k < to_a; ++k) y[at * to_a + k] = Narrow<D>::of(k < a ? wide(from[(size_t)k * from_b]) : 0.0f);
    }
}
#define TRANSPOSE_FEW(name, S, D) \
    extern "C" __global__ void __launch_bounds__(256) name(const S* x, D* y, u64 count, int a, int b, int from_b, int to_a) { transpose_few<S, D>(x, y, count, a, b, from_b, to_a); }
TRANSPOSE_FEW(transpose_few_f32_f32, float, float)
TRANSPOSE_FEW(transpose_few_f32_bf16, float, bf16)
TRANSPOSE_FEW(transpose_few_bf16_f32, bf16, float)
TRANSPOSE_FEW(transpose_few_bf16_bf16, bf16, bf16)

// Copies an image [n, h, w, c] of the source from (row, column) on; what lies outside the source is zero. A thread has N channels, which c is
// a multiple of; `count` is that of its groups of channels.
template <class S, class D, int N> __device__ __forceinline__ void window(const S* x, D* y, u64 count, int h, int w, int c, int from_h, int from_w, int from_c, int row, int column) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / N);
        int i = p.i + row, j = p.j + column, first = p.k * N;
        bool inside = i >= 0 && i < from_h && j >= 0 && j < from_w;
        const S* from = x + ((p.n * from_h + i) * from_w + j) * from_c;
#pragma unroll
        for (int k = 0; k < N; ++k) y[at * N + k] = Narrow<D>::of(inside && first + k < from_c ? wide(from[first + k]) : 0.0f);
    }
}
#define WINDOW(name, S, D, N) \
    extern "C" __global__ void __launch_bounds__(256) name(const S* x, D* y, u64 count, int h, int w, int c, int from_h, int from_w, int from_c, int row, int column) { window<S, D, N>(x, y, count, h, w, c, from_h, from_w, from_c, row, column); }
#define WINDOWS(name, S, D) WINDOW(name##_1, S, D, 1) WINDOW(name##_3, S, D, 3) WINDOW(name##_4, S, D, 4) WINDOW(name##_8, S, D, 8)
WINDOWS(window_f32_f32, float, float)
WINDOWS(window_f32_bf16, float, bf16)
WINDOWS(window_bf16_f32, bf16, float)
WINDOWS(window_bf16_bf16, bf16, bf16)

// y[n, i, j] = x[n, i / down, j / across]; h, w, c are those of y, `count` that of its lanes.
template <class L> __device__ __forceinline__ void upsample(const typename L::type* x, typename L::type* y, u64 count, int h, int w, int c, int down, int across) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / L::N);
        float v[L::N];
        L::load(x + ((p.n * (h / down) + p.i / down) * (w / across) + p.j / across) * c + p.k * L::N, v);
        L::store(y + at * L::N, v);
    }
}
#define P_UPSAMPLE(T) (const T* x, T* y, u64 count, int h, int w, int c, int down, int across)
EACH_LANES(upsample, P_UPSAMPLE, (x, y, count, h, w, c, down, across))

// y[n, i, j] = factor·(sum of x over the window of [down, across] at i, j); h, w, c are those of y, from_h and from_w those of x.
template <class L> __device__ __forceinline__ void window_sum(const typename L::type* x, typename L::type* y, u64 count, int h, int w, int c, int from_h, int from_w, int down, int across, float factor) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / L::N);
        float sum[L::N], v[L::N];
        for (int k = 0; k < L::N; ++k) sum[k] = 0.0f;
        for (int a = 0; a < down; ++a)
            for (int b = 0; b < across; ++b) {
                L::load(x + ((p.n * from_h + p.i * down + a) * from_w + p.j * across + b) * c + p.k * L::N, v);
                for (int k = 0; k < L::N; ++k) sum[k] += v[k];
            }
        for (int k = 0; k < L::N; ++k) sum[k] *= factor;
        L::store(y + at * L::N, sum);
    }
}
#define P_WINDOW_SUM(T) (const T* x, T* y, u64 count, int h, int w, int c, int from_h, int from_w, int down, int across, float factor)
EACH_LANES(window_sum, P_WINDOW_SUM, (x, y, count, h, w, c, from_h, from_w, down, across, factor))

// dx[n, i, j] = g[n, i / down, j / across]·factor inside the windows, else 0; h, w, c are those of dx, from_h and from_w those of g.
template <class L> __device__ __forceinline__ void window_spread(const typename L::type* g, typename L::type* dx, u64 count, int h, int w, int c, int from_h, int from_w, int down, int across, float factor) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / L::N);
        int i = p.i / down, j = p.j / across;
        float v[L::N];
        for (int k = 0; k < L::N; ++k) v[k] = 0.0f;
        if (i < from_h && j < from_w) L::load(g + ((p.n * from_h + i) * from_w + j) * c + p.k * L::N, v);
        for (int k = 0; k < L::N; ++k) v[k] *= factor;
        L::store(dx + at * L::N, v);
    }
}
#define P_WINDOW_SPREAD(T) (const T* g, T* dx, u64 count, int h, int w, int c, int from_h, int from_w, int down, int across, float factor)
EACH_LANES(window_spread, P_WINDOW_SPREAD, (g, dx, count, h, w, c, from_h, from_w, down, across, factor))

// y[n, i, j] = the sum of x[n, a, b]·(weights of a and b) over the taps of row i and column j; h, w, c are those of y. The table has the first
// tap of each row and the rows' end, the same of the columns, and each tap's index and weight.
template <class L> __device__ __forceinline__ void weighted(const typename L::type* x, typename L::type* y, u64 count, int h, int w, int c, int from_h, int from_w, const u32* down) {
    const u32* across = down + h + 1;
    const u32* taps = across + w + 1;
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / L::N);
        float sum[L::N], v[L::N];
        for (int k = 0; k < L::N; ++k) sum[k] = 0.0f;
        for (u32 a = down[p.i]; a < down[p.i + 1]; ++a)
            for (u32 b = across[p.j]; b < across[p.j + 1]; ++b) {
                L::load(x + ((p.n * from_h + taps[2 * a]) * from_w + taps[2 * b]) * c + p.k * L::N, v);
                float weight = of_bits(taps[2 * a + 1]) * of_bits(taps[2 * b + 1]);
                for (int k = 0; k < L::N; ++k) sum[k] += weight * v[k];
            }
        L::store(y + at * L::N, sum);
    }
}
#define P_WEIGHTED(T) (const T* x, T* y, u64 count, int h, int w, int c, int from_h, int from_w, const u32* down)
EACH_LANES(weighted, P_WEIGHTED, (x, y, count, h, w, c, from_h, from_w, down))

// Rearranges images [n, h / side, w / side, c·side·side] into [n, h, w, c], or back.
template <class T> __device__ __forceinline__ void shuffle(const T* x, T* y, u64 count, int h, int w, int c, int side, int back) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c);
        size_t pixel = (p.n * (h / side) + p.i / side) * (w / side) + p.j / side;
        size_t small = ((pixel * c + p.k) * side + p.i % side) * side + p.j % side;
        if (back) y[small] = x[at];
        else y[at] = x[small];
    }
}
#define P_SHUFFLE(T) (const T* x, T* y, u64 count, int h, int w, int c, int side, int back)
EACH_TYPE(shuffle, P_SHUFFLE, (x, y, count, h, w, c, side, back))

// The maximum of each channel of [n, pixels, c]; a NaN stays.
template <class T> __device__ __forceinline__ void max_pool(const T* x, T* y, u64 count, int pixels, int c) {
    FOR_NUMBERS(count) {
        const T* from = x + (size_t)((u32)at / (u32)c) * pixels * c + (u32)at % (u32)c;
        float most = wide(from[0]);
#pragma unroll 8
        for (int p = 1; p < pixels; ++p) { float v = wide(from[(size_t)p * c]); if (v > most || v != v) most = v; }
        y[at] = Narrow<T>::of(most);
    }
}
#define P_MAX_POOL(T) (const T* x, T* y, u64 count, int pixels, int c)
EACH_TYPE(max_pool, P_MAX_POOL, (x, y, count, pixels, c))

// Pixels that share the maximum share its gradient evenly.
template <class T> __device__ __forceinline__ void max_pool_grad(const T* x, const T* y, const T* g, T* dx, u64 count, int pixels, int c) {
    FOR_NUMBERS(count) {
        size_t start = (size_t)((u32)at / (u32)c) * pixels * c + (u32)at % (u32)c;
        float most = wide(y[at]), ties = 0.0f;
#pragma unroll 8
        for (int p = 0; p < pixels; ++p) ties += wide(x[start + (size_t)p * c]) == most ? 1.0f : 0.0f;
        float part = wide(g[at]) / ties;
        for (int p = 0; p < pixels; ++p) dx[start + (size_t)p * c] = Narrow<T>::of(wide(x[start + (size_t)p * c]) == most ? part : 0.0f);
    }
}
#define P_MAX_POOL_GRAD(T) (const T* x, const T* y, const T* g, T* dx, u64 count, int pixels, int c)
EACH_TYPE(max_pool_grad, P_MAX_POOL_GRAD, (x, y, g, dx, count, pixels, c))

// ---------------------------------------------------------------------------------------------------------------- convolutions

// Sizes of a convolution x [n, h, w, c] -> y [n, oh, ow, o] with weights [o, kh, kw, c / groups]. Plain loops, for what cuDNN does not take.
struct Conv { int n, h, w, c, oh, ow, o, kh, kw, top, left, down, across, dh, dw, groups; };

template <class T> __device__ __forceinline__ void conv_forward(Conv p, const T* x, const T* k, T* y) {
    u64 count = (u64)p.n * p.oh * p.ow * p.o;
    FOR_NUMBERS(count) {
        Place to = place(at, p.oh, p.ow, p.o);
        int each = p.c / p.groups, group = to.k / (p.o / p.groups);
        float sum = 0.0f;
        for (int a = 0; a < p.kh; ++a) {
            int i = to.i * p.down + a * p.dh - p.top;
            if (i < 0 || i >= p.h) continue;
            for (int b = 0; b < p.kw; ++b) {
                int j = to.j * p.across + b * p.dw - p.left;
                if (j < 0 || j >= p.w) continue;
                const T* u = x + ((to.n * p.h + i) * p.w + j) * p.c + group * each;
                const T* v = k + (((size_t)to.k * p.kh + a) * p.kw + b) * each;
                for (int c = 0; c < each; ++c) sum += wide(u[c]) * wide(v[c]);
            }
        }
        y[at] = Narrow<T>::of(sum);
    }
}
#define P_CONV(T) (Conv p, const T* a, const T* b, T* to)
EACH_TYPE(conv_forward, P_CONV, (p, a, b, to))

template <class T> __device__ __forceinline__ void conv_input_grad(Conv p, const T* y, const T* k, T* x) {
    u64 count = (u64)p.n * p.h * p.w * p.c;
    FOR_NUMBERS(count) {
        Place to = place(at, p.h, p.w, p.c);
        int each = p.c / p.groups, outputs = p.o / p.groups, first = to.k / each * outputs;
        float sum = 0.0f;
        for (int a = 0; a < p.kh; ++a) {
            int i = to.i + p.top - a * p.dh;
            if (i < 0 || i % p.down != 0 || i / p.down >= p.oh) continue;
            for (int b = 0; b < p.kw; ++b) {
                int j = to.j + p.left - b * p.dw;
                if (j < 0 || j % p.across != 0 || j / p.across >= p.ow) continue;
                const T* u = y + ((to.n * p.oh + i / p.down) * p.ow + j / p.across) * p.o;
                const T* v = k + ((size_t)a * p.kw + b) * each + to.k % each;
                for (int o = first; o < first + outputs; ++o) sum += wide(u[o]) * wide(v[(size_t)o * p.kh * p.kw * each]);
            }
        }
        x[at] = Narrow<T>::of(sum);
    }
}
EACH_TYPE(conv_input_grad, P_CONV, (p, a, b, to))

template <class T> __device__ __forceinline__ void conv_weight_grad(Conv p, const T* x, const T* dy, T* dk) {
    int each = p.c / p.groups;
    u64 count = (u64)p.o * p.kh * p.kw * each;
    FOR_NUMBERS(count) {
        Place to = place(at, p.kh, p.kw, each);
        int channel = (int)to.n / (p.o / p.groups) * each + to.k;
        double total = 0.0;
        for (int n = 0; n < p.n; ++n) {
            float sum = 0.0f;
            for (int oi = 0; oi < p.oh; ++oi) {
                int i = oi * p.down + to.i * p.dh - p.top;
                if (i < 0 || i >= p.h) continue;
                for (int oj = 0; oj < p.ow; ++oj) {
                    int j = oj * p.across + to.j * p.dw - p.left;
                    if (j < 0 || j >= p.w) continue;
                    sum += wide(x[(((size_t)n * p.h + i) * p.w + j) * p.c + channel]) * wide(dy[(((size_t)n * p.oh + oi) * p.ow + oj) * p.o + to.n]);
                }
            }
            total += sum;
        }
        dk[at] = Narrow<T>::of((float)total);
    }
}
EACH_TYPE(conv_weight_grad, P_CONV, (p, a, b, to))

// The windows of x as rows [n·oh·ow, kh·kw·c], so that a convolution is a matrix product; `count` and the channels are those of lanes.
template <class L> __device__ __forceinline__ void im2col(Conv p, const typename L::type* x, typename L::type* columns, u64 count) {
    FOR_NUMBERS(count) {
        Place tap = place(at, p.kh, p.kw, p.c / L::N);
        Place to = place(tap.n, p.oh, p.ow, 1);
        int i = to.i * p.down + tap.i * p.dh - p.top, j = to.j * p.across + tap.j * p.dw - p.left;
        float v[L::N];
        for (int k = 0; k < L::N; ++k) v[k] = 0.0f;
        if (i >= 0 && i < p.h && j >= 0 && j < p.w) L::load(x + ((to.n * p.h + i) * p.w + j) * p.c + tap.k * L::N, v);
        L::store(columns + at * L::N, v);
    }
}
#define P_IM2COL(T) (Conv p, const T* x, T* columns, u64 count)
EACH_LANES(im2col, P_IM2COL, (p, x, columns, count))

// The same for images of a few channels: a thread has a row of the window, whose pixels are neighbors.
template <class T> __device__ __forceinline__ void im2col_few(Conv p, const T* x, T* columns, u64 count) {
    FOR_NUMBERS(count) {
        u32 row = (u32)at / (u32)p.kh, a = (u32)at % (u32)p.kh;
        Place to = place(row, p.oh, p.ow, 1);
        int i = to.i * p.down + (int)a * p.dh - p.top;
        bool inside = i >= 0 && i < p.h;
        const T* from = x + (to.n * p.h + i) * p.w * p.c;
        T* y = columns + at * p.kw * p.c;
        for (int b = 0; b < p.kw; ++b) {
            int j = to.j * p.across + b * p.dw - p.left;
            bool is = inside && j >= 0 && j < p.w;
            for (int k = 0; k < p.c; ++k) y[b * p.c + k] = is ? from[j * p.c + k] : Narrow<T>::of(0.0f);
        }
    }
}
EACH_TYPE(im2col_few, P_IM2COL, (p, x, columns, count))

// Adds rows of windows, in f32, to the image that they were taken from; a thread has N channels of a pixel.
template <class T, int N> __device__ __forceinline__ void col2im(Conv p, const float* columns, T* x, u64 count) {
    FOR_NUMBERS(count) {
        Place to = place(at, p.h, p.w, p.c / N);
        float sum[N];
        for (int k = 0; k < N; ++k) sum[k] = 0.0f;
        for (int a = 0; a < p.kh; ++a) {
            int i = to.i + p.top - a * p.dh;
            if (i < 0 || i % p.down != 0 || i / p.down >= p.oh) continue;
            for (int b = 0; b < p.kw; ++b) {
                int j = to.j + p.left - b * p.dw;
                if (j < 0 || j % p.across != 0 || j / p.across >= p.ow) continue;
                size_t row = (to.n * p.oh + i / p.down) * p.ow + j / p.across;
                const float* from = columns + ((row * p.kh + a) * p.kw + b) * p.c + to.k * N;
#pragma unroll
                for (int k = 0; k < N; ++k) sum[k] += from[k];
            }
        }
#pragma unroll
        for (int k = 0; k < N; ++k) x[at * N + k] = Narrow<T>::of(sum[k]);
    }
}
#define COL2IM(name, T, N) \
    extern "C" __global__ void __launch_bounds__(256) name(Conv p, const float* columns, T* x, u64 count) { col2im<T, N>(p, columns, x, count); }
COL2IM(col2im_f32_1, float, 1)
COL2IM(col2im_f32_3, float, 3)
COL2IM(col2im_f32_4, float, 4)
COL2IM(col2im_bf16_1, bf16, 1)
COL2IM(col2im_bf16_3, bf16, 3)
COL2IM(col2im_bf16_4, bf16, 4)

// --------------------------------------------------------------------------------------------------------------------- classes

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

// -------------------------------------------------------------------------------------------------- optimizers, losses, random numbers

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
    __shared__ double part[256];
    double sum = 0.0;
    FOR_NUMBERS(n) sum += (double)x[at] * x[at];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) partial[blockIdx.x] = part[0];
}

// Mean binary cross-entropy of logits with one label, and its gradient: softplus(x) - label·x, (sigmoid(x) - label) / n. One block.
template <class T> __device__ __forceinline__ void cross_entropy(const T* logits, T* gradient, float* loss, int n, float label) {
    __shared__ double part[256];
    double sum = 0.0;
    for (int i = threadIdx.x; i < n; i += 256) {
        float x = wide(logits[i]);
        sum += (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x))) - label * x;
        gradient[i] = Narrow<T>::of((sigmoid(x) - label) / n);
    }
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) *loss = (float)(part[0] / n);
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
