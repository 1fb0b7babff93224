/* A libnvidia-ml.so.1 that does what a text file says, named by FAKE_NVML and read anew at every call.

   A line is `key value`; of equal keys the last one counts, those that are lists count each.  Before a key may stand
   `@1.5`: from 1.5 seconds after the file was put in place; `#3`: from the third call of the function that looks.

     count 2                             cards
     driver 580.65                       its version
     library 580.65                      another value than at this process's first call: error 18 for ever
     SYMBOL.code 18, 0.SYMBOL.code 15    what a function answers, for all cards or one
     SYMBOL.sleep 3600                   how long it takes before
     0.uuid, 0.name, 0.total, 0.free, 0.used, 0.reserved, 0.gpu (percent), 0.celsius, 0.recovery
     0.process PID BYTES                 a list; BYTES may be -1: not available
     0.sample PID TIME PERCENT           a list; with `always` behind it, told also to who knows it
     0.xid 79                            a list; each is told once, card by card
     0.mig 1, 0.instances 7              divided, into at most so many
     0/1.uuid ...                        the second MIG instance of card 0, keys as above

   What is not said is not supported. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* nvml.h */
enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10, LIB_RM_VERSION_MISMATCH = 18, ARGUMENT_VERSION_MISMATCH = 25,
};
enum { TYPE_UNSIGNED_INT = 1, FI_DEV_GET_GPU_RECOVERY_ACTION = 230, EVENT_XID = 8 };
typedef unsigned long long u64;
typedef struct { u64 total, free, used; } memory_v1;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2;
typedef struct { unsigned pid; u64 bytes; unsigned gpu_instance, compute_instance; } process_info;
typedef struct { unsigned pid; u64 time; unsigned sm, memory, encoder, decoder; } process_sample;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned field, scope; long long time, latency; unsigned type, code; u64 value; } field_value;
typedef struct device { char name[16]; int events; } *device_t;
typedef struct { device_t device; u64 type, data; unsigned gpu_instance, compute_instance; } event_data;

#define CARDS 16
#define PARTS 8
static struct device cards[CARDS], parts[CARDS][PARTS];
static char script[65536], library[64];
static struct stat version;
static struct { const char *symbol; int count; } calls[32];
static int initialized, mismatched, xids_told[CARDS], calls_of_this;

/* --- the script */

static void read_script(void) {
    struct stat now;
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    script[fread(script, 1, sizeof script - 1, file)] = 0;
    fstat(fileno(file), &now);
    fclose(file);
    if (now.st_ino == version.st_ino && now.st_mtim.tv_sec == version.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == version.st_mtim.tv_nsec)
        return;
    version = now;
    memset(xids_told, 0, sizeof xids_told);
    memset(calls, 0, sizeof calls);
}

/* Whether the line counts now; `line` goes past its condition. */
static int holds(const char **line) {
    char *end, sign = **line;
    struct timespec now;
    if (sign != '@' && sign != '#')
        return 1;
    double from = strtod(*line + 1, &end);
    *line = end + strspn(end, " ");
    clock_gettime(CLOCK_REALTIME, &now);
    double age = (double)(now.tv_sec - version.st_mtim.tv_sec) + (double)(now.tv_nsec - version.st_mtim.tv_nsec) / 1e9;
    return (sign == '@' ? age : calls_of_this) >= from;
}

/* The value of the nth line with this key, or of the last one if nth is -1; in a buffer of its own, NULL if none. */
static const char *nth(const char *device, const char *key, int wanted) {
    static char value[256];
    char full[128];
    int length = snprintf(full, sizeof full, "%s%s%s ", device, *device ? "." : "", key), found = 0;
    for (const char *line = script; line; line = (line = strchr(line, '\n')) ? line + 1 : NULL) {
        if (!holds(&line) || strncmp(line, full, length))
            continue;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(line + length, "\n"), line + length);
        if (found++ == wanted)
            return value;
    }
    return wanted < 0 && found ? value : NULL;
}

static int number(const char *device, const char *key, u64 *value) {
    const char *text = nth(device, key, -1);
    if (text)
        *value = strtoull(text, NULL, 10);
    return text ? SUCCESS : NOT_SUPPORTED;
}

static int small(const char *device, const char *key, unsigned *value) {
    u64 wide = *value;
    int code = number(device, key, &wide);
    *value = (unsigned)wide;
    return code;
}

static int text(const char *device, const char *key, char *buffer, unsigned length) {
    const char *value = nth(device, key, -1);
    if (value)
        snprintf(buffer, length, "%s", value);
    return value ? SUCCESS : NOT_SUPPORTED;
}

/* --- what every call begins with */

static int known(device_t device) {
    return device && ((device >= cards && device < cards + CARDS) ||
                      (device >= parts[0] && device < parts[0] + CARDS * PARTS));
}

static int begin(const char *symbol, const char *device) {
    char key[96];
    unsigned code = SUCCESS;
    const char *value;
    int i = 0;
    read_script();
    while (calls[i].symbol && strcmp(calls[i].symbol, symbol))
        i++;
    calls[i].symbol = symbol;
    calls_of_this = ++calls[i].count;

    snprintf(key, sizeof key, "%s.sleep", symbol);
    if ((value = nth("", key, -1))) {
        double seconds = strtod(value, NULL);
        struct timespec rest = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
        while (nanosleep(&rest, &rest)) /* no signal wakes it but the one that kills, as in a kernel that hangs */
            ;
    }

    value = nth("", "library", -1);
    if (!*library)
        snprintf(library, sizeof library, "%s", value ? value : "the first");
    mismatched = mismatched || (value && strcmp(value, library));
    if (mismatched)
        return LIB_RM_VERSION_MISMATCH;

    snprintf(key, sizeof key, "%s.code", symbol);
    small("", key, &code);
    if (*device)
        small(device, key, &code);
    if (!code && !initialized && strcmp(symbol, "nvmlInitWithFlags"))
        return UNINITIALIZED;
    return (int)code;
}

#define RETURN_IF(error) do { int error_ = (error); if (error_) return error_; } while (0)
#define BEGIN() RETURN_IF(begin(__func__, ""))
#define BEGIN_FOR(device) RETURN_IF(known(device) ? begin(__func__, (device)->name) : INVALID_ARGUMENT)

/* --- the library */

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    BEGIN();
    initialized = 1;
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    static char words[32];
    snprintf(words, sizeof words, "Error %d", code);
    return words;
}

int nvmlSystemGetDriverVersion(char *buffer, unsigned length) {
    BEGIN();
    return text("", "driver", buffer, length);
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    BEGIN();
    return small("", "count", count);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t *device) {
    char name[16];
    unsigned count = 0;
    snprintf(name, sizeof name, "%u", index);
    RETURN_IF(begin(__func__, name));
    small("", "count", &count);
    if (index >= count || index >= CARDS)
        return INVALID_ARGUMENT;
    *device = &cards[index];
    memcpy(cards[index].name, name, sizeof name);
    return SUCCESS;
}

#define TEXT(function, key) \
    int function(device_t device, char *buffer, unsigned length) { \
        BEGIN_FOR(device); \
        return text(device->name, key, buffer, length); \
    }
TEXT(nvmlDeviceGetUUID, "uuid")
TEXT(nvmlDeviceGetName, "name")

static int memory(const char *device, u64 *total, u64 *free, u64 *used) {
    RETURN_IF(number(device, "total", total));
    RETURN_IF(number(device, "free", free));
    return number(device, "used", used);
}

int nvmlDeviceGetMemoryInfo(device_t device, memory_v1 *now) {
    BEGIN_FOR(device);
    return memory(device->name, &now->total, &now->free, &now->used);
}

int nvmlDeviceGetMemoryInfo_v2(device_t device, memory_v2 *now) {
    BEGIN_FOR(device);
    if (now->version != (sizeof *now | 2u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    RETURN_IF(number(device->name, "reserved", &now->reserved));
    return memory(device->name, &now->total, &now->free, &now->used);
}

int nvmlDeviceGetUtilizationRates(device_t device, utilization *rates) {
    BEGIN_FOR(device);
    rates->memory = 0;
    return small(device->name, "gpu", &rates->gpu);
}

int nvmlDeviceGetTemperature(device_t device, unsigned sensor, unsigned *celsius) {
    BEGIN_FOR(device);
    return sensor ? INVALID_ARGUMENT : small(device->name, "celsius", celsius);
}

int nvmlDeviceGetComputeRunningProcesses_v3(device_t device, unsigned *count, process_info *processes) {
    const char *line;
    unsigned found = 0, room = *count;
    BEGIN_FOR(device);
    for (; (line = nth(device->name, "process", (int)found)); found++)
        if (found < room && processes) {
            char *end;
            processes[found].pid = (unsigned)strtoul(line, &end, 10);
            processes[found].bytes = strtoull(end, NULL, 10);
        }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

/* As the real one: asked for the size, it gives that of its buffer, and tells only later that nothing is there. */
int nvmlDeviceGetProcessUtilization(device_t device, process_sample *samples, unsigned *count, u64 since) {
    const char *line;
    unsigned found = 0;
    BEGIN_FOR(device);
    if (!samples) {
        *count = 100;
        return INSUFFICIENT_SIZE;
    }
    for (int i = 0; (line = nth(device->name, "sample", i)); i++) {
        process_sample sample = {0};
        sscanf(line, "%u %llu %u", &sample.pid, &sample.time, &sample.sm);
        if ((sample.time > since || strstr(line, "always")) && found < *count)
            samples[found++] = sample;
    }
    *count = found;
    return found ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetFieldValues(device_t device, int count, field_value *values) {
    BEGIN_FOR(device);
    for (int i = 0; i < count; i++) {
        values[i].type = TYPE_UNSIGNED_INT;
        values[i].code = values[i].field == FI_DEV_GET_GPU_RECOVERY_ACTION
                             ? (unsigned)number(device->name, "recovery", &values[i].value) : INVALID_ARGUMENT;
    }
    return SUCCESS;
}

int nvmlDeviceGetMigMode(device_t device, unsigned *current, unsigned *pending) {
    BEGIN_FOR(device);
    *pending = 0;
    return small(device->name, "mig", current);
}

int nvmlDeviceGetMaxMigDeviceCount(device_t device, unsigned *count) {
    BEGIN_FOR(device);
    return small(device->name, "instances", count);
}

int nvmlDeviceGetMigDeviceHandleByIndex(device_t device, unsigned index, device_t *part) {
    char name[32];
    BEGIN_FOR(device);
    if (device < cards || device >= cards + CARDS || index >= PARTS)
        return INVALID_ARGUMENT;
    snprintf(name, sizeof name, "%.8s/%u", device->name, index);
    if (!nth(name, "uuid", -1))
        return NOT_FOUND;
    *part = &parts[device - cards][index];
    memcpy((*part)->name, name, sizeof (*part)->name);
    return SUCCESS;
}

int nvmlEventSetCreate(void **set) {
    BEGIN();
    for (int i = 0; i < CARDS; i++)
        cards[i].events = 0;
    *set = cards;
    return SUCCESS;
}

int nvmlDeviceRegisterEvents(device_t device, u64 types, void *set) {
    BEGIN_FOR(device);
    if (set != cards || types != EVENT_XID)
        return INVALID_ARGUMENT;
    device->events = 1;
    return SUCCESS;
}

int nvmlEventSetWait_v2(void *set, event_data *event, unsigned milliseconds) {
    const char *xid;
    BEGIN();
    for (device_t card = cards; set == cards && card < cards + CARDS; card++)
        if (card->events && (xid = nth(card->name, "xid", xids_told[card - cards]))) {
            xids_told[card - cards]++;
            *event = (event_data){card, EVENT_XID, strtoull(xid, NULL, 10), ~0u, ~0u};
            return SUCCESS;
        }
    usleep(milliseconds * 1000);
    return set == cards ? TIMEOUT : INVALID_ARGUMENT;
}
