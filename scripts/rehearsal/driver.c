// A stand-in for NVIDIA's driver (libcuda.so.1): an H100 that computes nothing. It takes every call that a CUDA program
// of ours makes, counts launches by kernel, copies and memory, and keeps the PTX of every kernel that is loaded. What
// is read from it is zero. See scripts/rehearse_gpu.
//
// REHEARSAL_DIR names the folder for counts.json, written when the program ends, and the kernels' PTX.
#define _GNU_SOURCE
#include <cuda.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// NVIDIA H100 SXM5 80 GB, as cuDeviceGetAttribute tells of it.
#define NAME "NVIDIA H100 80GB HBM3 (rehearsal)"
#define MEMORY 85028896768ULL
#define DRIVER_VERSION 12080

// Seconds that a launch and each of its threads take on the device's clock, and that a round of CubeCL's throughput probes
// takes on the host's too: it measures how fast a device is before it chooses kernels, in more and more rounds until that
// takes long enough, which is 20 ms.
#define LAUNCH_S 3e-6
#define THREAD_S 1e-11
#define ROUND_S 2e-6
#define PROBE_S 25e-3
#define PROBE "throughput"

struct CUevent_st {
    double at;
};

struct CUfunc_st {
    char name[512];
    unsigned module;
    unsigned long launches, blocks;
    unsigned threads, shared;
    unsigned parameters; // Of a probe.
    struct CUfunc_st *next;
};

struct CUmod_st {
    unsigned index;
    const char *text;
};

struct allocation {
    void *address;
    size_t size;
    struct allocation *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUfunc_st *functions;
static struct allocation *allocations;
static unsigned modules;
static unsigned long to_device, to_device_bytes, to_host, to_host_bytes, on_device, synchronized;
static size_t held, peak;
static double now, owed; // The device's clock; seconds of probes that nobody has waited for.
static int something; // Contexts and streams are its address.

static const char *folder(void) { return getenv("REHEARSAL_DIR"); }

static void __attribute__((destructor)) report(void) {
    if (!folder()) return;
    char path[4096];
    snprintf(path, sizeof path, "%s/counts.json", folder());
    FILE *out = fopen(path, "w");
    if (!out) return;
    fprintf(out,
            "{\"modules\": %u, \"peak_bytes\": %zu, \"to_device\": %lu, \"to_device_bytes\": %lu, \"to_host\": %lu, "
            "\"to_host_bytes\": %lu, \"on_device\": %lu, \"synchronized\": %lu, \"kernels\": [",
            modules, peak, to_device, to_device_bytes, to_host, to_host_bytes, on_device, synchronized);
    for (struct CUfunc_st *f = functions; f; f = f->next)
        fprintf(out,
                "%s\n{\"name\": \"%s\", \"module\": %u, \"launches\": %lu, \"blocks\": %lu, \"threads\": %u, \"shared\": %u}",
                f == functions ? "" : ",", f->name, f->module, f->launches, f->blocks, f->threads, f->shared);
    fprintf(out, "\n]}\n");
    fclose(out);
}

static CUresult take(CUdeviceptr *address, size_t size) {
    struct allocation *entry = malloc(sizeof *entry);
    pthread_mutex_lock(&lock);
    void *memory = held + size > MEMORY ? MAP_FAILED
                                        : mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) {
        *entry = (struct allocation){memory, size, allocations};
        allocations = entry;
        held += size;
        if (held > peak) peak = held;
        *address = (CUdeviceptr)memory;
    }
    pthread_mutex_unlock(&lock);
    return memory == MAP_FAILED ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

static CUresult give(CUdeviceptr address) {
    pthread_mutex_lock(&lock);
    for (struct allocation **entry = &allocations; *entry; entry = &(*entry)->next)
        if ((*entry)->address == (void *)address) {
            struct allocation *found = *entry;
            munmap(found->address, found->size ? found->size : 1);
            held -= found->size;
            *entry = found->next;
            free(found);
            break;
        }
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

static CUresult wait(void) {
    pthread_mutex_lock(&lock);
    double seconds = owed;
    owed = 0;
    synchronized++;
    pthread_mutex_unlock(&lock);
    if (seconds > 0) usleep(1e6 * seconds);
    return CUDA_SUCCESS;
}

static CUresult count(unsigned long *calls, unsigned long *bytes, size_t size) {
    __atomic_add_fetch(calls, 1, __ATOMIC_RELAXED);
    if (bytes) __atomic_add_fetch(bytes, size, __ATOMIC_RELAXED);
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags) { return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int *version) { return *version = DRIVER_VERSION, CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *number) { return *number = 1, CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    return *device = 0, ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    return snprintf(name, length, "%s", NAME), CUDA_SUCCESS;
}
CUresult cuDeviceGetPCIBusId(char *name, int length, CUdevice device) {
    return snprintf(name, length, "0000:01:00.0"), CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) { return memset(uuid, 1, sizeof *uuid), CUDA_SUCCESS; }
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) { return memset(uuid, 1, sizeof *uuid), CUDA_SUCCESS; }
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) { return *bytes = MEMORY, CUDA_SUCCESS; }
CUresult cuMemGetInfo(size_t *left, size_t *total) { return *left = MEMORY - held, *total = MEMORY, CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 9; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: *value = 64; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: *value = 2147483647; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y: *value = 65535; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: *value = 65535; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = 49152; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = 232448; break;
    default: *value = 1;
    }
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    return *context = (CUcontext)&something, CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext context) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { return *context = (CUcontext)&something, CUDA_SUCCESS; }
CUresult cuCtxSynchronize(void) { return wait(); }
CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = 0, *greatest = -5, CUDA_SUCCESS; }

CUresult cuStreamCreate(CUstream *stream, unsigned flags) { return *stream = (CUstream)&something, CUDA_SUCCESS; }
CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
    return *stream = (CUstream)&something, CUDA_SUCCESS;
}
CUresult cuStreamDestroy(CUstream stream) { return CUDA_SUCCESS; }
CUresult cuStreamSynchronize(CUstream stream) { return wait(); }
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) { return CUDA_SUCCESS; }
CUresult cuCtxRecordEvent(CUcontext context, CUevent event) { return CUDA_SUCCESS; }
CUresult cuCtxWaitEvent(CUcontext context, CUevent event) { return CUDA_SUCCESS; }

CUresult cuEventCreate(CUevent *event, unsigned flags) { return *event = calloc(1, sizeof **event), CUDA_SUCCESS; }
CUresult cuEventDestroy(CUevent event) { return free(event), CUDA_SUCCESS; }
CUresult cuEventRecord(CUevent event, CUstream stream) {
    pthread_mutex_lock(&lock);
    event->at = now;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent event) { return CUDA_SUCCESS; }
CUresult cuEventSynchronize(CUevent event) { return wait(); }
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    return *milliseconds = 1e3 * (end->at - start->at), CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *address, size_t size) { return take(address, size); }
CUresult cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream stream) { return take(address, size); }
CUresult cuMemFree(CUdeviceptr address) { return give(address); }
CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) { return give(address); }
CUresult cuMemAllocHost(void **address, size_t size) {
    return (*address = malloc(size)) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult cuMemFreeHost(void *address) { return free(address), CUDA_SUCCESS; }

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    return count(&to_device, &to_device_bytes, size);
}
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    return memset(to, 0, size), count(&to_host, &to_host_bytes, size);
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    return count(&on_device, NULL, 0);
}
CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D *copy, CUstream stream) {
    size_t size = copy->WidthInBytes * copy->Height;
    if (copy->dstMemoryType != CU_MEMORYTYPE_HOST) return count(&to_device, &to_device_bytes, size);
    for (size_t row = 0; row < copy->Height; row++)
        memset((char *)copy->dstHost + row * copy->dstPitch, 0, copy->WidthInBytes);
    return count(&to_host, &to_host_bytes, size);
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t size, CUstream stream) {
    return count(&on_device, NULL, 0);
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    CUmodule loaded = calloc(1, sizeof *loaded);
    loaded->index = __atomic_fetch_add(&modules, 1, __ATOMIC_RELAXED);
    loaded->text = strdup(image);
    if (folder()) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%05u.ptx", folder(), loaded->index);
        FILE *out = fopen(path, "w");
        if (!out) return CUDA_ERROR_OPERATING_SYSTEM;
        fputs(image, out);
        fclose(out);
    }
    return *module = loaded, CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) { return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    CUfunction found = calloc(1, sizeof *found);
    snprintf(found->name, sizeof found->name, "%s", name);
    found->module = module->index;
    if (strstr(name, PROBE)) {
        const char *entry = strstr(module->text, ".entry"), *end = strchr(entry, ')');
        for (const char *at = entry; (at = strstr(at + 1, ".param")) && at < end;) found->parameters++;
    }
    pthread_mutex_lock(&lock);
    found->next = functions;
    functions = found;
    pthread_mutex_unlock(&lock);
    return *function = found, CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) { return CUDA_SUCCESS; }
CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void **parameters,
                        void **extra) {
    unsigned threads = block_x * block_y * block_z;
    if (!grid_x || !grid_y || !grid_z || grid_y > 65535 || grid_z > 65535 || !threads || threads > 1024 || shared > 232448)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    unsigned long blocks = (unsigned long)grid_x * grid_y * grid_z;
    now += LAUNCH_S + THREAD_S * blocks * threads;
    if (function->parameters) {
        // The last one begins with the number of rounds.
        double seconds = ROUND_S * *(unsigned *)parameters[function->parameters - 1];
        if (seconds > PROBE_S) seconds = PROBE_S;
        now += seconds;
        owed += seconds;
    }
    function->launches++;
    function->blocks += blocks;
    function->threads = threads;
    function->shared = shared;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}
CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                                const cuuint64_t *dims, const cuuint64_t *strides, const cuuint32_t *box,
                                const cuuint32_t *element_strides, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                CUtensorMapFloatOOBfill fill) {
    return memset(map, 0, sizeof *map), CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult error, const char **text) { return *text = "CUDA_ERROR", CUDA_SUCCESS; }
CUresult cuGetErrorString(CUresult error, const char **text) { return *text = "refused by the stand-in", CUDA_SUCCESS; }
