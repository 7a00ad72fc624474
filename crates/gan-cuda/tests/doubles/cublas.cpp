// cuBLAS' matrix products by plain loops over host memory: f32 and bf16 factors, sums in f64.
#include <cstdint>
#include <cstddef>
#include <cstring>
extern "C" void emu_run(void*, void (*)(void*), void*);
extern "C" int emu_inside(unsigned long long, size_t);
struct Handle { void* stream = nullptr; };
enum { F32 = 0, BF16 = 14 };
static float get(const void* p, int t, size_t i) {
    if (t == F32) return ((const float*)p)[i];
    uint32_t u = (uint32_t)((const uint16_t*)p)[i] << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static void put(void* p, int t, size_t i, float v) {
    if (t == F32) { ((float*)p)[i] = v; return; }
    uint32_t u;
    memcpy(&u, &v, 4);
    u += 0x7fff + ((u >> 16) & 1);
    ((uint16_t*)p)[i] = (uint16_t)(u >> 16);
}
struct Matrix { const void* p; int type, ld; long long stride; };
struct Job { int ta, tb, m, n, k; Matrix a, b, c; int count; bool adds; };
static void work(void* q) {
    Job& j = *(Job*)q;
    for (int i = 0; i < j.count; ++i)
        for (int x = 0; x < j.n; ++x)
            for (int y = 0; y < j.m; ++y) {
                double sum = 0;
                for (int z = 0; z < j.k; ++z) {
                    size_t a = j.ta ? (size_t)y * j.a.ld + z : (size_t)z * j.a.ld + y, b = j.tb ? (size_t)z * j.b.ld + x : (size_t)x * j.b.ld + z;
                    sum += (double)get(j.a.p, j.a.type, i * j.a.stride + a) * get(j.b.p, j.b.type, i * j.b.stride + b);
                }
                size_t at = i * j.c.stride + (size_t)x * j.c.ld + y;
                put((void*)j.c.p, j.c.type, at, (float)(sum + (j.adds ? get(j.c.p, j.c.type, at) : 0.0f)));
            }
}
// Returns whether all columns of a batch of matrices lie in one block of memory.
static bool inside(const Matrix& m, int rows, int columns, int count) {
    size_t end = (count - 1) * m.stride + (size_t)(columns - 1) * m.ld + rows;
    return rows <= m.ld && emu_inside((unsigned long long)m.p, (m.type == F32 ? 4 : 2) * end);
}
static int go(Handle* h, const Job& j, float alpha, float beta, int compute) {
    if (alpha != 1.0f || (beta != 0.0f && beta != 1.0f) || j.a.type != j.b.type || (compute != 68 && compute != 77) || j.m < 1 || j.n < 1 || j.k < 1 || j.count < 1) return 7;
    if (!inside(j.a, j.ta ? j.k : j.m, j.ta ? j.m : j.k, j.count) || !inside(j.b, j.tb ? j.n : j.k, j.tb ? j.k : j.n, j.count) || !inside(j.c, j.m, j.n, j.count)) return 7;
    emu_run(h->stream, work, new Job(j));
    return 0;
}
extern "C" {
int cublasCreate_v2(Handle** h) { *h = new Handle; return 0; }
int cublasDestroy_v2(Handle* h) { delete h; return 0; }
int cublasSetStream_v2(Handle* h, void* s) { h->stream = s; return 0; }
int cublasSetWorkspace_v2(Handle*, void* p, size_t n) { return emu_inside((unsigned long long)p, n) ? 0 : 7; }
const char* cublasGetStatusName(int) { return "DOUBLE"; }
int cublasGemmEx(Handle* h, int ta, int tb, int m, int n, int k, const float* alpha, const void* a, int at, int lda, const void* b, int bt, int ldb, const float* beta, void* c, int ct, int ldc, int compute, int) {
    return go(h, {ta, tb, m, n, k, {a, at, lda, 0}, {b, bt, ldb, 0}, {c, ct, ldc, 0}, 1, *beta == 1.0f}, *alpha, *beta, compute);
}
int cublasGemmStridedBatchedEx(Handle* h, int ta, int tb, int m, int n, int k, const float* alpha, const void* a, int at, int lda, long long sa, const void* b, int bt, int ldb, long long sb, const float* beta, void* c, int ct, int ldc, long long sc, int count, int compute, int) {
    return go(h, {ta, tb, m, n, k, {a, at, lda, sa}, {b, bt, ldb, sb}, {c, ct, ldc, sc}, count, *beta == 1.0f}, *alpha, *beta, compute);
}
}
