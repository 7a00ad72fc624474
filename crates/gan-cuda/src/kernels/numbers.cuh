// Number formats, lanes of several numbers, and the loops of a thread over its part of the work.
#pragma once

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

// Loops of a thread over its part of n numbers, of the rows of a matrix, and of a count of pieces.
#define FOR_LANES(n) \
    for (size_t at = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * L::N; at < (n); at += (size_t)gridDim.x * blockDim.x * L::N)
#define FOR_ROWS(rows) for (int r = blockIdx.y * blockDim.y + threadIdx.y; r < (rows); r += gridDim.y * blockDim.y)
#define FOR_NUMBERS(count) for (size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x; at < (count); at += (size_t)gridDim.x * blockDim.x)

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
