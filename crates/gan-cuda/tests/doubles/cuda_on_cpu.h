// Runs CUDA C++ kernels (device code only) on the CPU: one thread after the other, or, for kernels with barriers, all threads of a block as
// fibers that change places at barriers. One block at a time; the caller holds a lock.
#pragma once
#include <ucontext.h>
#include <math.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __shared__ static
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
namespace emu {
struct Fiber {
    ucontext_t at;
    bool done;
    unsigned barriers;
};
inline dim3 block, grid, cta, thread;
inline std::vector<Fiber> fibers;
inline std::vector<std::vector<char>> stacks;
inline unsigned current = 0;
inline bool has_fibers = false;
inline ucontext_t scheduler;
// Whether the last block and its last thread come first, which finds what relies on blocks before it. Otherwise threads take turns.
inline bool reversed = getenv("GAN_DOUBLE_REVERSED");
inline std::vector<double> dynamic;  // extern __shared__
inline std::function<void()> body;
inline void set(unsigned i) {
    current = i;
    thread = dim3(i % block.x, i / block.x % block.y, i / (block.x * block.y));
}
// All threads that have not ended arrive before any goes on.
inline void barrier() {
    if (!has_fibers) {
        fprintf(stderr, "a kernel that is listed without barriers reached one\n");
        abort();
    }
    unsigned me = current, mine = ++fibers[me].barriers;
    for (;;) {
        bool all = true;
        for (auto& fiber : fibers) all = all && (fiber.done || fiber.barriers >= mine);
        if (all) return;
        swapcontext(&fibers[me].at, &scheduler);
    }
}
inline void entry() {
    body();
    fibers[current].done = true;
    swapcontext(&fibers[current].at, &scheduler);
}
inline void launch(dim3 g, dim3 b, size_t shared, bool barriers, const std::function<void()>& f) {
    // Another order finds forgotten barriers.
    static bool backwards = false;
    backwards = reversed || !backwards;
    grid = g;
    block = b;
    body = f;
    has_fibers = barriers;
    unsigned n = b.x * b.y * b.z;
    if (barriers && stacks.size() < n) stacks.resize(n, std::vector<char>(64 << 10));
    unsigned blocks = g.x * g.y * g.z;
    for (unsigned at = 0; at < blocks; ++at) {
        unsigned c = reversed ? blocks - 1 - at : at;
        cta = dim3(c % g.x, c / g.x % g.y, c / (g.x * g.y));
        dynamic.assign((shared + 7) / 8, -1e300);  // nothing may rely on zeros
        if (!barriers) {
            for (unsigned k = 0; k < n; ++k) {
                set(backwards ? n - 1 - k : k);
                body();
            }
            continue;
        }
        fibers.resize(n);
        for (unsigned i = 0; i < n; ++i) {
            auto& fiber = fibers[i];
            fiber.done = false;
            fiber.barriers = 0;
            getcontext(&fiber.at);
            fiber.at.uc_stack.ss_sp = stacks[i].data();
            fiber.at.uc_stack.ss_size = stacks[i].size();
            fiber.at.uc_link = &scheduler;
            makecontext(&fiber.at, (void (*)())entry, 0);
        }
        for (unsigned left = n; left;) {
            left = 0;
            for (unsigned k = 0; k < n; ++k) {
                unsigned i = backwards ? n - 1 - k : k;
                if (fibers[i].done) continue;
                set(i);
                swapcontext(&scheduler, &fibers[i].at);
                left += !fibers[i].done;
            }
        }
    }
}
}  // namespace emu
#define threadIdx (emu::thread)
#define blockIdx (emu::cta)
#define blockDim (emu::block)
#define gridDim (emu::grid)
inline void __threadfence() {}
template <class T> T atomicAdd(T* p, T v) {
    T old = *p;
    *p += v;
    return old;
}
inline void __syncthreads() {
    unsigned me = emu::current;
    emu::barrier();
    emu::set(me);
}
// All threads of a block exchange at once, of which the real one only needs those of a warp.
template <class T> T __shfl_xor_sync(unsigned, T v, int mask) {
    static T all[1024];
    unsigned me = emu::current;
    all[me] = v;
    __syncthreads();
    T other = all[me ^ mask];
    __syncthreads();
    return other;
}
