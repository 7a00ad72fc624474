// A CUDA driver for machines without a GPU: memory is the host's, kernels are the same text compiled by g++, streams run at once or are
// captured. Stricter than the real one where that finds mistakes: copies are checked against the allocated blocks, fresh memory is poisoned,
// and nothing may be allocated, freed or waited for in a capture.
#include "cuda_on_cpu.h"
#include "../../src/kernels/kernels.cu"
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
typedef int R;
typedef unsigned long long P;
enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, ECC = 214, NOT_FOUND = 500, ILLEGAL = 700, CAPTURE_UNSUPPORTED = 900 };
static std::recursive_mutex mutex;
#define LOCK std::lock_guard<std::recursive_mutex> guard(mutex)
struct Function {
    std::string name;
    std::vector<size_t> sizes;
    std::function<void(void**)> call;
    bool barriers;
};
static std::map<std::string, Function>& kernels() {
    static std::map<std::string, Function> all;
    return all;
}
template <class... A, size_t... I> void call(void (*f)(A...), void** p, std::index_sequence<I...>) {
    f(*(typename std::decay<A>::type*)p[I]...);
}
template <class... A> int put(const char* n, void (*f)(A...), bool barriers) {
    kernels()[n] = {n, {sizeof(A)...}, [f](void** p) { call(f, p, std::index_sequence_for<A...>()); }, barriers};
    return 0;
}
#define ONE(k, b) put(#k, k, b)
#define TWO(k, b) put(#k "_f32", k##_f32, b), put(#k "_bf16", k##_bf16, b)
#define FOUR(k, b) TWO(k, b), put(#k "_f32v", k##_f32v, b), put(#k "_bf16v", k##_bf16v, b)
#define WINDOWS_OF(k) put(#k "_1", k##_1, false), put(#k "_3", k##_3, false), put(#k "_4", k##_4, false), put(#k "_8", k##_8, false)
#define PAIRS(k, b) put(#k "_f32_f32", k##_f32_f32, b), put(#k "_f32_bf16", k##_f32_bf16, b), put(#k "_bf16_f32", k##_bf16_f32, b), put(#k "_bf16_bf16", k##_bf16_bf16, b)
static int all[] = {FOUR(bias_act, false), FOUR(act_grad, false), FOUR(in_act, false), FOUR(in_act_grad, false), FOUR(dropout, false), FOUR(add_to, false), FOUR(weighted, false), TWO(shuffle, false),
    TWO(concat_class, false), TWO(class_rows_grad, false), TWO(projection, false), TWO(projection_input_grad, false), TWO(projection_grad, false),
    FOUR(moments, true), FOUR(grad_sums, true), FOUR(dot_sums, true), FOUR(moments_all, true), FOUR(grad_sums_all, true), TWO(moments_finish, true), ONE(grad_finish, true), ONE(sums_finish, true),
    FOUR(norm, false), FOUR(norm_grad, false), ONE(norm_follow, false), ONE(jvp_finish, false), FOUR(jvp_adjoint, false), PAIRS(transpose, true), WINDOWS_OF(window_f32_f32), WINDOWS_OF(window_f32_bf16), WINDOWS_OF(window_bf16_f32), WINDOWS_OF(window_bf16_bf16), PAIRS(transpose_few, false),
    TWO(im2col_few, false), FOUR(upsample, false),
    FOUR(window_sum, false), FOUR(window_spread, false), TWO(max_pool, false), TWO(max_pool_grad, false), TWO(conv_forward, false),
    TWO(conv_input_grad, false), TWO(conv_weight_grad, false), put("update_f32", update_f32, false), put("update_f32v", update_f32v, false), FOUR(im2col, false), put("col2im_f32_1", col2im_f32_1, false), put("col2im_f32_3", col2im_f32_3, false), put("col2im_f32_4", col2im_f32_4, false), put("col2im_bf16_1", col2im_bf16_1, false), put("col2im_bf16_3", col2im_bf16_3, false), put("col2im_bf16_4", col2im_bf16_4, false), ONE(follow, false), ONE(squares, true),
    TWO(uniform, false), FOUR(act_jvp_grad, false), FOUR(scale_samples, false), TWO(max_pool_jvp, false), FOUR(learned_slope, false), FOUR(slope_sums, true), ONE(add_blocks, true),
    FOUR(glu_forward, false), FOUR(glu_grad, false), FOUR(glu_jvp, false), FOUR(glu_jvp_grad, false), FOUR(pixel_norm, true), FOUR(pixel_norm_grad, true), FOUR(pixel_norm_jvp_grad, true),
    TWO(cells_of_groups, true), ONE(cells_of_batch, false), FOUR(cell_norm, false), FOUR(cell_sums, true), ONE(cell_finish, true), FOUR(cell_update, false), ONE(cell_rows, false), FOUR(cell_jvp_sums, true), ONE(cell_jvp_finish, true), FOUR(cell_jvp_update, false),
    TWO(transform_images, true), TWO(std_sums, true), TWO(std_concat, false), TWO(std_factors, true), TWO(std_grad, false), TWO(std_bend, false), TWO(softmax, true), TWO(softmax_grad, true), TWO(softmax_bend, true),
    ONE(spectral_columns, true), ONE(spectral_rows, true), ONE(spectral_finish, true), ONE(spectral_divide, false), ONE(spectral_grad, false)};
struct Graph { std::vector<std::function<void()>> nodes; };
struct Stream { std::shared_ptr<Graph> capturing; };
static Stream null_stream;
static Stream* of(void* s) { return (size_t)s < 16 ? &null_stream : (Stream*)s; }
static std::map<P, size_t> blocks;
static size_t used = 0, memory = (size_t)1 << 33;
static long launches_left = -1;  // until the device is lost; -1 for ever
static bool lost = false;
// With GAN_DOUBLE_IDLE nothing is computed, and fresh memory is zero: to count what a program does at full size.
static const bool idle = getenv("GAN_DOUBLE_IDLE");
static bool any_capture = false;
static std::vector<Stream*> joined;  // streams that take part in a capture that another began
static bool inside(P p, size_t n) {
    auto i = blocks.upper_bound(p);
    if (i == blocks.begin()) return false;
    --i;
    return p + n <= i->first + i->second;
}
// Work of all streams in the order in which it was queued. It is done as late as possible, when something waits for it, so that a program that
// overwrites what the device has not read, or reads what it has not written, gets wrong numbers.
static std::vector<std::function<void()>> queued;
static size_t issued = 0, done = 0;
static void queue(std::function<void()> f) {
    queued.push_back(std::move(f));
    ++issued;
}
static void finish() {
    for (auto& f : queued) f();
    queued.clear();
    done = issued;
}
static std::map<char*, size_t> pinned;  // page-locked memory of the host
static R run(void* s, std::function<void()> f) {
    auto* q = of(s);
    if (q->capturing) q->capturing->nodes.push_back(std::move(f));
    else queue(std::move(f));
    return OK;
}
// Reads what a test has written to the file "limits" beside this library: bytes of memory, launches until the device is lost, and whether
// kernels run in reverse.
static void read_limits() {
    Dl_info info;
    if (!dladdr((void*)read_limits, &info)) return;
    std::string path = info.dli_fname;
    FILE* file = fopen((path.substr(0, path.rfind('/')) + "/limits").c_str(), "r");
    if (!file) return;
    int reversed = 0;
    if (fscanf(file, "%zu %ld %d", &memory, &launches_left, &reversed) == 3) lost = false;
    emu::reversed = reversed;
    fclose(file);
}
static bool launches() {
    if (launches_left == 0) lost = true;
    if (launches_left > 0) --launches_left;
    return !lost;
}
#define WORKS if (lost) return ECC
extern "C" {
// For the doubles of cuDNN and cuBLAS: keeps order and capture.
void emu_run(void* s, void (*f)(void*), void* a) { LOCK; run(s, [=] { if (!idle) f(a); }); }
int emu_inside(P p, size_t n) { LOCK; return !lost && inside(p, n); }
R cuInit(unsigned) { return OK; }
R cuDriverGetVersion(int* v) { *v = 13000; return OK; }
R cuDeviceGetCount(int* n) { *n = 1; return OK; }
R cuDeviceGet(int* d, int i) { *d = i; return i ? 101 : OK; }
R cuDeviceGetName(char* n, int l, int) { snprintf(n, l, "double"); return OK; }
R cuDevicePrimaryCtxRetain(void** c, int) { *c = (void*)64; return OK; }
R cuCtxSetCurrent(void*) { return OK; }
R cuMemGetInfo_v2(size_t* f, size_t* t) { LOCK; read_limits(); *t = memory; *f = memory - (used < memory ? used : memory); return OK; }
R cuMemAlloc_v2(P* p, size_t n) {
    LOCK;
    WORKS;
    if (any_capture) return CAPTURE_UNSUPPORTED;
    if (used + n > memory) return OUT_OF_MEMORY;
    void* m = aligned_alloc(256, (n + 255) / 256 * 256);
    if (!m) return OUT_OF_MEMORY;
    used += n;
    memset(m, idle ? 0 : 0xFF, n);
    blocks[(P)m] = n;
    *p = (P)m;
    return OK;
}
R cuMemFree_v2(P p) {
    LOCK;
    if (any_capture) return CAPTURE_UNSUPPORTED;
    auto i = blocks.find(p);
    if (i == blocks.end()) return INVALID;
    finish();
    used -= i->second;
    blocks.erase(i);
    free((void*)p);
    return OK;
}
R cuMemHostAlloc(void** p, size_t n, unsigned) { LOCK; *p = malloc(n); pinned[(char*)*p] = n; return OK; }
R cuMemFreeHost(void* p) { LOCK; pinned.erase((char*)p); free(p); return OK; }
R cuMemcpyHtoDAsync_v2(P to, const void* from, size_t n, void* s) {
    LOCK;
    WORKS;
    if (!inside(to, n)) return ILLEGAL;
    auto i = pinned.upper_bound((char*)from);
    if (i != pinned.begin() && (--i, (char*)from + n <= i->first + i->second)) return run(s, [=] { memcpy((void*)to, from, n); });
    // Other memory is copied before the call returns.
    std::vector<char> copy((const char*)from, (const char*)from + n);
    return run(s, [to, copy] { memcpy((void*)to, copy.data(), copy.size()); });
}
R cuMemcpyDtoHAsync_v2(void* to, P from, size_t n, void* s) { LOCK; WORKS; if (!inside(from, n)) return ILLEGAL; return run(s, [=] { memcpy(to, (void*)from, n); }); }
R cuMemcpyDtoDAsync_v2(P to, P from, size_t n, void* s) { LOCK; WORKS; if (!inside(to, n) || !inside(from, n)) return ILLEGAL; return run(s, [=] { memmove((void*)to, (void*)from, n); }); }
R cuMemsetD8Async(P to, unsigned char v, size_t n, void* s) { LOCK; WORKS; if (!inside(to, n)) return ILLEGAL; return run(s, [=] { memset((void*)to, v, n); }); }
R cuStreamCreate(void** s, unsigned) { *s = new Stream; return OK; }
R cuStreamDestroy_v2(void* s) { delete (Stream*)s; return OK; }
R cuStreamSynchronize(void* s) {
    LOCK;
    WORKS;
    if (of(s)->capturing) return CAPTURE_UNSUPPORTED;
    finish();
    return OK;
}
// An event knows the graph in which it was recorded: a stream that waits for it joins the capture.
struct Event { std::shared_ptr<Graph> graph; size_t queued = 0; };
R cuEventCreate(void** e, unsigned) { *e = new Event; return OK; }
R cuEventRecord(void* e, void* s) { LOCK; ((Event*)e)->graph = of(s)->capturing; ((Event*)e)->queued = issued; return OK; }
R cuEventSynchronize(void* e) {
    LOCK;
    WORKS;
    if (((Event*)e)->graph) return CAPTURE_UNSUPPORTED;
    if (((Event*)e)->queued > done) finish();
    return OK;
}
R cuStreamWaitEvent(void* s, void* e, unsigned) {
    LOCK;
    auto& graph = ((Event*)e)->graph;
    if (!graph) return of(s)->capturing ? CAPTURE_UNSUPPORTED : OK;
    if (!of(s)->capturing) { of(s)->capturing = graph; joined.push_back(of(s)); }
    return of(s)->capturing == graph ? OK : CAPTURE_UNSUPPORTED;
}
R cuEventElapsedTime(float* t, void*, void*) { *t = 0.001f; return OK; }
R cuEventElapsedTime_v2(float* t, void*, void*) { *t = 0.001f; return OK; }
R cuEventDestroy_v2(void* e) { delete (Event*)e; return OK; }
R cuModuleLoadData(void** m, const void*) { *m = (void*)64; return OK; }
R cuModuleUnload(void*) { return OK; }
R cuModuleGetFunction(void** f, void*, const char* n) {
    auto i = kernels().find(n);
    if (i == kernels().end()) return NOT_FOUND;
    *f = &i->second;
    return OK;
}
R cuLaunchKernel(void* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* s, void** params, void**) {
    LOCK;
    if (!launches()) return ECC;
    auto* k = (Function*)f;
    unsigned threads = bx * by * bz;
    if (threads == 0 || threads > 1024 || gx * gy * gz == 0 || gy > 65535 || gz > 65535 || shared > 48 << 10) return INVALID;
    auto kept = std::make_shared<std::vector<std::vector<char>>>();
    for (size_t i = 0; i < k->sizes.size(); ++i) kept->emplace_back((char*)params[i], (char*)params[i] + k->sizes[i]);
    return run(s, [=] {
        std::vector<void*> p;
        for (auto& v : *kept) p.push_back(v.data());
        if (!idle) emu::launch(dim3(gx, gy, gz), dim3(bx, by, bz), shared, k->barriers, [&] { k->call(p.data()); });
    });
}
R cuStreamBeginCapture_v2(void* s, int) {
    LOCK;
    WORKS;
    auto* q = of(s);
    if (q == &null_stream || q->capturing) return INVALID;
    q->capturing = std::make_shared<Graph>();
    any_capture = true;
    return OK;
}
R cuStreamEndCapture(void* s, void** g) {
    LOCK;
    auto* q = of(s);
    if (!q->capturing) return INVALID;
    *g = new std::shared_ptr<Graph>(q->capturing);
    q->capturing.reset();
    for (auto* s : joined) s->capturing.reset();
    joined.clear();
    any_capture = false;
    return OK;
}
R cuGraphGetNodes(void* g, void*, size_t* n) { *n = (*(std::shared_ptr<Graph>*)g)->nodes.size(); return OK; }
R cuGraphInstantiateWithFlags(void** e, void* g, unsigned long long) { *e = new std::shared_ptr<Graph>(*(std::shared_ptr<Graph>*)g); return OK; }
R cuGraphUpload(void*, void*) { return OK; }
R cuGraphLaunch(void* e, void*) {
    LOCK;
    if (!launches()) return ECC;
    auto graph = *(std::shared_ptr<Graph>*)e;
    queue([graph] { for (auto& n : graph->nodes) n(); });
    return OK;
}
R cuGraphExecDestroy(void* e) { delete (std::shared_ptr<Graph>*)e; return OK; }
R cuGraphDestroy(void* g) { delete (std::shared_ptr<Graph>*)g; return OK; }
R cuGetErrorName(int, const char** s) { *s = "DOUBLE"; return OK; }
R cuGetErrorString(int, const char** s) { *s = "an error of the double"; return OK; }
}
