// As much of cuDNN's legacy convolutions as the backend needs, by plain loops over host memory: channels-last f32 and bf16.
//
// The lists of algorithms begin with entries that the backend must pass over: one that failed and one that is not deterministic.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>
extern "C" void emu_run(void*, void (*)(void*), void*);
extern "C" int emu_inside(unsigned long long, size_t);
struct Handle { void* stream = nullptr; };
struct Desc {
    int type = 0;
    int d[4] = {};
    size_t count() const { return (size_t)d[0] * d[1] * d[2] * d[3]; }
    size_t bytes() const { return count() * (type == 0 ? 4 : 2); }
    size_t at(int n, int c, int h, int w) const { return (((size_t)n * d[2] + h) * d[3] + w) * d[1] + c; }
};
struct Conv { int ph, pw, sh, sw, dh, dw, groups = 1; };
static float get(const void* p, int t, size_t i) {
    if (t == 0) return ((const float*)p)[i];
    uint32_t u = (uint32_t)((const uint16_t*)p)[i] << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static void put(void* p, int t, size_t i, float v) {
    if (t == 0) { ((float*)p)[i] = v; return; }
    uint32_t u;
    memcpy(&u, &v, 4);
    u += 0x7fff + ((u >> 16) & 1);
    ((uint16_t*)p)[i] = (uint16_t)(u >> 16);
}
struct Job { int what; Desc x, w, y; Conv c; const void *a, *b; void *to, *scratch; size_t room; };
static void work(void* q) {
    Job j = *(Job*)q;  // kept: a graph may run it again
    memset(j.scratch, 0xEE, j.room);
    const Desc& o = j.what == 0 ? j.y : j.what == 1 ? j.x : j.w;
    std::vector<double> sum(o.count());
    for (int n = 0; n < j.y.d[0]; ++n) for (int k = 0; k < j.y.d[1]; ++k) for (int oh = 0; oh < j.y.d[2]; ++oh) for (int ow = 0; ow < j.y.d[3]; ++ow)
        for (int r = 0; r < j.w.d[2]; ++r) for (int s = 0; s < j.w.d[3]; ++s) {
            int ih = oh * j.c.sh - j.c.ph + r * j.c.dh, iw = ow * j.c.sw - j.c.pw + s * j.c.dw;
            if (ih < 0 || iw < 0 || ih >= j.x.d[2] || iw >= j.x.d[3]) continue;
            for (int c = 0; c < j.w.d[1]; ++c) {
                int group = k / (j.w.d[0] / j.c.groups);
                size_t x = j.x.at(n, group * j.w.d[1] + c, ih, iw), w = j.w.at(k, c, r, s), y = j.y.at(n, k, oh, ow);
                if (j.what == 0) sum[y] += (double)get(j.a, j.x.type, x) * get(j.b, j.w.type, w);
                if (j.what == 1) sum[x] += (double)get(j.a, j.y.type, y) * get(j.b, j.w.type, w);
                if (j.what == 2) sum[w] += (double)get(j.a, j.x.type, x) * get(j.b, j.y.type, y);
            }
        }
    for (size_t i = 0; i < sum.size(); ++i) put(j.to, o.type, i, (float)sum[i]);
}
static int go(Handle* h, Job j, int algorithm, const float* alpha, const float* beta) {
    auto in = [](const void* p, const Desc& t) { return emu_inside((unsigned long long)p, t.bytes()); };
    const Desc &da = j.what == 1 ? j.y : j.x, &db = j.what == 2 ? j.y : j.w, &dt = j.what == 0 ? j.y : j.what == 1 ? j.x : j.w;
    if (algorithm != 1 || *alpha != 1.0f || *beta != 0.0f || j.room < 256 || !emu_inside((unsigned long long)j.scratch, j.room)) return 3000;
    if (!in(j.a, da) || !in(j.b, db) || !in(j.to, dt)) return 3000;
    if (j.x.type != j.w.type || j.x.type != j.y.type || j.x.d[0] != j.y.d[0] || j.x.d[1] != j.w.d[1] * j.c.groups || j.w.d[0] % j.c.groups || j.y.d[1] != j.w.d[0]) return 3000;
    int oh = (j.x.d[2] + 2 * j.c.ph - j.c.dh * (j.w.d[2] - 1) - 1) / j.c.sh + 1, ow = (j.x.d[3] + 2 * j.c.pw - j.c.dw * (j.w.d[3] - 1) - 1) / j.c.sw + 1;
    if (oh != j.y.d[2] || ow != j.y.d[3]) return 3000;
    emu_run(h->stream, work, new Job(j));
    return 0;
}
extern "C" {
size_t cudnnGetVersion() { return 91900; }
const char* cudnnGetErrorString(int) { return "an error of the double"; }
int cudnnCreate(Handle** h) { *h = new Handle; return 0; }
int cudnnDestroy(Handle* h) { delete h; return 0; }
int cudnnSetStream(Handle* h, void* s) { h->stream = s; return 0; }
int cudnnCreateTensorDescriptor(Desc** d) { *d = new Desc; return 0; }
int cudnnSetTensor4dDescriptor(Desc* t, int f, int ty, int n, int c, int h, int w) { if (f != 1) return 3000; *t = {ty, {n, c, h, w}}; return 0; }
int cudnnCreateFilterDescriptor(Desc** d) { *d = new Desc; return 0; }
int cudnnSetFilter4dDescriptor(Desc* t, int ty, int f, int k, int c, int h, int w) { if (f != 1) return 3000; *t = {ty, {k, c, h, w}}; return 0; }
int cudnnCreateConvolutionDescriptor(Conv** c) { *c = new Conv; return 0; }
int cudnnSetConvolution2dDescriptor(Conv* c, int ph, int pw, int sh, int sw, int dh, int dw, int, int) { *c = {ph, pw, sh, sw, dh, dw}; return 0; }
int cudnnSetConvolutionGroupCount(Conv* c, int n) { c->groups = n; return n < 1 ? 3000 : 0; }
int cudnnSetConvolutionMathType(Conv*, int m) { return m < 0 || m > 3 ? 3000 : 0; }
struct Perf { int algo, status; float time; size_t memory; int determinism, math, reserved[3]; };
static int list(int asked, int* n, Perf* p) {
    if (asked < 4) return 3000;
    *n = 4;
    p[0] = {0, 3000, -1.0f, 0, 1, 1, {}};
    p[1] = {0, 0, 0.1f, 256, 0, 1, {}};
    p[2] = {1, 0, 0.2f, 256, 1, 3, {}};
    p[3] = {1, 0, 0.3f, 256, 1, 1, {}};
    return 0;
}
int cudnnGetConvolutionForwardAlgorithm_v7(Handle*, Desc*, Desc*, Conv*, Desc*, int a, int* n, Perf* p) { return list(a, n, p); }
int cudnnGetConvolutionBackwardDataAlgorithm_v7(Handle*, Desc*, Desc*, Conv*, Desc*, int a, int* n, Perf* p) { return list(a, n, p); }
int cudnnGetConvolutionBackwardFilterAlgorithm_v7(Handle*, Desc*, Desc*, Conv*, Desc*, int a, int* n, Perf* p) { return list(a, n, p); }
int cudnnGetConvolutionForwardWorkspaceSize(Handle*, Desc*, Desc*, Conv*, Desc*, int, size_t* n) { *n = 256; return 0; }
int cudnnGetConvolutionBackwardDataWorkspaceSize(Handle*, Desc*, Desc*, Conv*, Desc*, int, size_t* n) { *n = 256; return 0; }
int cudnnGetConvolutionBackwardFilterWorkspaceSize(Handle*, Desc*, Desc*, Conv*, Desc*, int, size_t* n) { *n = 256; return 0; }
int cudnnConvolutionForward(Handle* h, const float* al, Desc* x, const void* xp, Desc* w, const void* wp, Conv* c, int g, void* s, size_t r, const float* be, Desc* y, void* yp) { return go(h, {0, *x, *w, *y, *c, xp, wp, yp, s, r}, g, al, be); }
int cudnnConvolutionBackwardData(Handle* h, const float* al, Desc* w, const void* wp, Desc* y, const void* yp, Conv* c, int g, void* s, size_t r, const float* be, Desc* x, void* xp) { return go(h, {1, *x, *w, *y, *c, yp, wp, xp, s, r}, g, al, be); }
int cudnnConvolutionBackwardFilter(Handle* h, const float* al, Desc* x, const void* xp, Desc* y, const void* yp, Conv* c, int g, void* s, size_t r, const float* be, Desc* w, void* wp) { return go(h, {2, *x, *w, *y, *c, xp, yp, wp, s, r}, g, al, be); }
}
