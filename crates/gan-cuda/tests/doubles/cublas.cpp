// cuBLAS' matrix product by plain loops over host memory: f32 and bf16 factors, sums in f64.
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
struct Job { int ta, tb, m, n, k; const void* a; int at, lda; const void* b; int bt, ldb; void* c; int ct, ldc; };
static void work(void* q) {
    Job& j = *(Job*)q;
    for (int x = 0; x < j.n; ++x)
        for (int y = 0; y < j.m; ++y) {
            double sum = 0;
            for (int z = 0; z < j.k; ++z) {
                size_t a = j.ta ? (size_t)y * j.lda + z : (size_t)z * j.lda + y, b = j.tb ? (size_t)z * j.ldb + x : (size_t)x * j.ldb + z;
                sum += (double)get(j.a, j.at, a) * get(j.b, j.bt, b);
            }
            put(j.c, j.ct, (size_t)x * j.ldc + y, (float)sum);
        }
}
extern "C" {
int cublasCreate_v2(Handle** h) { *h = new Handle; return 0; }
int cublasDestroy_v2(Handle* h) { delete h; return 0; }
int cublasSetStream_v2(Handle* h, void* s) { h->stream = s; return 0; }
int cublasSetWorkspace_v2(Handle*, void* p, size_t n) { return emu_inside((unsigned long long)p, n) ? 0 : 7; }
const char* cublasGetStatusName(int) { return "DOUBLE"; }
int cublasGemmEx(Handle* h, int ta, int tb, int m, int n, int k, const float* alpha, const void* a, int at, int lda, const void* b, int bt, int ldb, const float* beta, void* c, int ct, int ldc, int compute, int) {
    auto size = [](int t) { return (size_t)(t == F32 ? 4 : 2); };
    if (*alpha != 1.0f || *beta != 0.0f || at != bt || (compute != 68 && compute != 77)) return 7;
    if (!emu_inside((unsigned long long)a, size(at) * m * k) || !emu_inside((unsigned long long)b, size(bt) * k * n) || !emu_inside((unsigned long long)c, size(ct) * m * n)) return 7;
    emu_run(h->stream, work, new Job{ta, tb, m, n, k, a, at, lda, b, bt, ldb, c, ct, ldc});
    return 0;
}
}
