// A stand-in for NVIDIA's libcublasLt: it takes every product that is asked for and computes none. CUBLAS_LOG names a file
// for a line per plan, with what was asked for. See scripts/rehearse_gpu.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, ATTRIBUTES = 64 };

// A descriptor, a layout or a preference: what was set, by attribute.
struct object {
    uint64_t rows, columns, type;
    int64_t leading, values[ATTRIBUTES];
};

static int made(struct object **object) { return *object = calloc(1, sizeof **object), SUCCESS; }
static int set(struct object *object, int attribute, const void *value, size_t size) {
    if (attribute < 0 || attribute >= ATTRIBUTES || size > sizeof *object->values) return 7; // CUBLAS_STATUS_INVALID_VALUE
    object->values[attribute] = 0;
    memcpy(&object->values[attribute], value, size);
    return SUCCESS;
}
static int gone(struct object *object) { return free(object), SUCCESS; }

int cublasLtCreate(struct object **handle) { return made(handle); }
int cublasLtDestroy(struct object *handle) { return gone(handle); }
int cublasLtMatmulDescCreate(struct object **operation, int compute, int scale) { return made(operation); }
int cublasLtMatmulDescSetAttribute(struct object *o, int attribute, const void *value, size_t size) { return set(o, attribute, value, size); }
int cublasLtMatmulDescDestroy(struct object *operation) { return gone(operation); }
int cublasLtMatrixLayoutCreate(struct object **layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    made(layout);
    (*layout)->type = type, (*layout)->rows = rows, (*layout)->columns = columns, (*layout)->leading = leading;
    return SUCCESS;
}
int cublasLtMatrixLayoutSetAttribute(struct object *o, int attribute, const void *value, size_t size) { return set(o, attribute, value, size); }
int cublasLtMatrixLayoutDestroy(struct object *layout) { return gone(layout); }
int cublasLtMatmulPreferenceCreate(struct object **preference) { return made(preference); }
int cublasLtMatmulPreferenceSetAttribute(struct object *o, int attribute, const void *value, size_t size) { return set(o, attribute, value, size); }
int cublasLtMatmulPreferenceDestroy(struct object *preference) { return gone(preference); }

// The result begins with the algorithm, 64 bytes; then come the workspace's size and the status.
int cublasLtMatmulAlgoGetHeuristic(void *handle, struct object *operation, struct object *a, struct object *b,
                                   struct object *c, struct object *d, struct object *preference, int wanted,
                                   char *results, int *count) {
    memset(results, 0, 64 + 8 + 4);
    *count = 1;
    const char *path = getenv("CUBLAS_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (log) {
        struct object *all[] = {a, b, d};
        for (int i = 0; i < 3; i++)
            fprintf(log, "%llu x %llu by %lld%s of type %llu; ", (unsigned long long)all[i]->rows,
                    (unsigned long long)all[i]->columns, (long long)all[i]->leading,
                    i < 2 && operation->values[3 + i] ? " turned" : "", (unsigned long long)all[i]->type);
        fprintf(log, "%lld of them, epilogue %lld\n", (long long)d->values[5], (long long)operation->values[7]);
        fclose(log);
    }
    return SUCCESS;
}
int cublasLtMatmul() { return SUCCESS; }
