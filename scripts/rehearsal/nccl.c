// A stand-in for NVIDIA's libnccl: it takes every call and moves nothing. Each rank writes what it was asked for, a line per
// call, to rank-N of the folder that NCCL_REHEARSAL names. NCCL_REHEARSAL_FAIL=N:C has call C of rank N fail, counted from
// 0. See scripts/rehearse_gpu.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, SYSTEM_ERROR = 2, INVALID_USAGE = 5 };

typedef struct {
    char internal[128];
} id;

struct communicator {
    FILE *log;
    int rank, calls, fails; // The call that fails, or -1.
};

static const char *type(int type) { return type == 7 ? "f32" : type == 9 ? "bf16" : "another type"; }
static const char *operation(int operation) { return operation == 0 ? "sum" : "another operation"; }

static int group;
static FILE *log_of_group; // Of the communicator that was asked last.

static int counted(struct communicator *c) {
    fflush(c->log);
    log_of_group = c->log;
    return c->calls++ == c->fails ? SYSTEM_ERROR : SUCCESS;
}

int ncclGetVersion(int *version) { return *version = 22803, SUCCESS; }
int ncclGetUniqueId(id *made) {
    memset(made, 0, sizeof *made);
    return snprintf(made->internal, sizeof made->internal, "id-%d", getpid()), SUCCESS;
}
int ncclCommInitRank(struct communicator **made, int size, id of, int rank) {
    const char *folder = getenv("NCCL_REHEARSAL"), *fail = getenv("NCCL_REHEARSAL_FAIL");
    char path[4096];
    snprintf(path, sizeof path, "%s/rank-%d", folder ? folder : ".", rank);
    struct communicator *c = *made = calloc(1, sizeof *c);
    int of_rank = -1, call = -1;
    if (fail) sscanf(fail, "%d:%d", &of_rank, &call);
    c->rank = rank, c->fails = of_rank == rank ? call : -1, c->log = fopen(path, "w");
    if (!c->log) return SYSTEM_ERROR;
    fprintf(c->log, "join %d of %d by %.127s\n", rank, size, of.internal);
    return fflush(c->log), SUCCESS;
}
int ncclCommGetAsyncError(struct communicator *c, int *state) { return *state = SUCCESS, SUCCESS; }
const char *ncclGetErrorString(int status) { return status == SUCCESS ? "no error" : "unhandled system error"; }
const char *ncclGetLastError(struct communicator *c) { return "as the rehearsal asks"; }

int ncclAllReduce(const void *from, void *to, size_t count, int kind, int op, struct communicator *c, void *stream) {
    if (!from || !to || !stream) return INVALID_USAGE;
    fprintf(c->log, "all-reduce of %zu %s by %s\n", count, type(kind), operation(op));
    return counted(c);
}
int ncclAllGather(const void *from, void *to, size_t count, int kind, struct communicator *c, void *stream) {
    if (!from || !to || !stream) return INVALID_USAGE;
    fprintf(c->log, "all-gather of %zu %s\n", count, type(kind));
    return counted(c);
}
int ncclBroadcast(const void *from, void *to, size_t count, int kind, int root, struct communicator *c, void *stream) {
    if (!from || !to || !stream || !group) return INVALID_USAGE;
    fprintf(c->log, "broadcast of %zu %s from %d\n", count, type(kind), root);
    return counted(c);
}
int ncclGroupStart(void) { return group++, SUCCESS; }
int ncclGroupEnd(void) {
    if (!group) return INVALID_USAGE;
    group--;
    if (log_of_group) fprintf(log_of_group, "end of a group\n"), fflush(log_of_group);
    return SUCCESS;
}
