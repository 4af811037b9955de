/* frame.c: the XSAVE area of Linux's signal frame.
 *
 * The kernel saves the extended registers in the standard format of XSAVE (SDM vol. 1, "XSAVE Area"): 512 bytes as
 * FXSAVE, a header whose first word XSTATE_BV says which components are not in their initial state, then components at
 * the offsets of CPUID leaf 0DH. The software bytes at 464 (struct _fpx_sw_bytes) name the components that the frame
 * has room for. A component whose bit is clear reads as zeros; writing one sets its bit. */
#define _GNU_SOURCE // NOLINT: REG_RIP
#include "tests/emulate/frame.h"

#include <cpuid.h>
#include <string.h>

enum { COMPONENT_SSE = 1, COMPONENT_AVX = 2, COMPONENT_OPMASK = 5, COMPONENT_ZMM_HIGH = 6, COMPONENT_ZMM_16 = 7 };
enum { COMPONENT_TILECFG = 17, COMPONENT_TILEDATA = 18, COMPONENT_COUNT };
enum { AT_MXCSR = 24, AT_XMM = 160, AT_SOFTWARE = 464, AT_XSTATE_BV = 512 };

#define MAGIC UINT32_C(0x46505853) /* FP_XSTATE_MAGIC1 of the kernel's sigcontext.h */

/* struct _fpx_sw_bytes */
typedef struct Software {
  uint32_t magic, extended_size;
  uint64_t features;
  uint32_t xstate_size, padding[7];
} Software;

static const int gpr_index[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static uint8_t *area_of(const ucontext_t *context) { return (uint8_t *)context->uc_mcontext.fpregs; }

static Software software_of(const ucontext_t *context) {
  Software software;
  memcpy(&software, area_of(context) + AT_SOFTWARE, sizeof software);
  return software;
}

/* ---- where things are -------------------------------------------------------------------------------------------- */

static struct {
  uint64_t enabled; /* XCR0 */
  uint32_t offset[COMPONENT_COUNT], end[COMPONENT_COUNT];
} layout;

static uint64_t enabled_components(void) {
  unsigned a, b, c, d;
  __cpuid(1, a, b, c, d);
  if (!(c & bit_OSXSAVE)) return 0;
  __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return (uint64_t)d << 32 | a;
}

void frame_init(void) {
  if (layout.enabled != 0) return;
  layout.enabled = enabled_components();
  for (unsigned i = COMPONENT_AVX; i < COMPONENT_COUNT; i++) {
    unsigned size, offset, c, d;
    if (!(layout.enabled >> i & 1)) continue;
    __cpuid_count(0xD, i, size, offset, c, d);
    layout.offset[i] = offset;
    layout.end[i] = offset + size;
  }
}

static bool has_all(uint64_t wanted) { return (layout.enabled & wanted) == wanted; }

bool frame_has_avx(void) { return has_all(1u << COMPONENT_SSE | 1u << COMPONENT_AVX); }

bool frame_has_avx512(void) {
  return frame_has_avx() && has_all(1u << COMPONENT_OPMASK | 1u << COMPONENT_ZMM_HIGH | 1u << COMPONENT_ZMM_16);
}

/* Where a component lies in the frame; NULL: it has no room there. */
static uint8_t *component_at(const ucontext_t *context, int component) {
  if (component == COMPONENT_SSE) return area_of(context) + AT_XMM;
  Software software = software_of(context);
  bool has_room = software.features >> component & 1 && layout.end[component] <= software.xstate_size;
  return has_room && layout.end[component] != 0 ? area_of(context) + layout.offset[component] : NULL;
}

static bool is_in_use(const ucontext_t *context, int component) {
  uint64_t in_use;
  memcpy(&in_use, area_of(context) + AT_XSTATE_BV, sizeof in_use);
  return in_use >> component & 1;
}

static void mark_in_use(const ucontext_t *context, int component) {
  uint64_t in_use;
  memcpy(&in_use, area_of(context) + AT_XSTATE_BV, sizeof in_use);
  in_use |= UINT64_C(1) << component;
  memcpy(area_of(context) + AT_XSTATE_BV, &in_use, sizeof in_use);
}

/* ---- components -------------------------------------------------------------------------------------------------- */

/* A component as `count` rows of `bytes`, which are part of rows `pitch` apart in the state. */
typedef struct Component {
  int number, count;
  size_t offset, bytes, pitch; /* in EmulateState */
} Component;

#define VECTOR_PART(first, byte) (offsetof(EmulateState, vector) + (size_t)(first) * 64 + (byte))

static const Component components[] = {
    {COMPONENT_SSE, 16, VECTOR_PART(0, 0), 16, 64},
    {COMPONENT_AVX, 16, VECTOR_PART(0, 16), 16, 64},
    {COMPONENT_ZMM_HIGH, 16, VECTOR_PART(0, 32), 32, 64},
    {COMPONENT_ZMM_16, 16, VECTOR_PART(16, 0), 64, 64},
    {COMPONENT_OPMASK, 8, offsetof(EmulateState, mask), 8, 8},
};
enum { COMPONENTS = sizeof components / sizeof *components };

static void read_component(const ucontext_t *context, const Component *c, EmulateState *state) {
  const uint8_t *from = component_at(context, c->number);
  if (from == NULL || !is_in_use(context, c->number)) return;
  for (int i = 0; i < c->count; i++)
    memcpy((uint8_t *)state + c->offset + (size_t)i * c->pitch, from + (size_t)i * c->bytes, c->bytes);
}

static void write_component(const Frame *frame, const Component *c, const EmulateState *state) {
  const uint8_t *now = (const uint8_t *)state + c->offset, *before = (const uint8_t *)&frame->before + c->offset;
  uint8_t *to = component_at(frame->context, c->number);
  bool differs = false;
  for (int i = 0; i < c->count; i++)
    differs |= memcmp(now + (size_t)i * c->pitch, before + (size_t)i * c->pitch, c->bytes) != 0;
  if (!differs || to == NULL) return;
  for (int i = 0; i < c->count; i++) memcpy(to + (size_t)i * c->bytes, now + (size_t)i * c->pitch, c->bytes);
  mark_in_use(frame->context, c->number);
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

/* Where the CPU has TILECFG, it is the truth, since ldtilecfg may have been executed by the CPU. A configuration other
 * than the last one seen means that, and then the tiles are zero. */
static void read_tiles(Frame *frame, EmulateTiles *tiles) {
  const uint8_t *config = component_at(frame->context, COMPONENT_TILECFG);
  const uint8_t *data = component_at(frame->context, COMPONENT_TILEDATA);
  frame->has_config = config != NULL;
  frame->has_data = config != NULL && data != NULL;
  if (!frame->has_config) return;
  static const uint8_t zeros[sizeof tiles->config];
  if (!is_in_use(frame->context, COMPONENT_TILECFG)) config = zeros;
  if (memcmp(tiles->config, config, sizeof tiles->config) != 0) {
    memset(tiles->data, 0, sizeof tiles->data);
    memcpy(tiles->config, config, sizeof tiles->config);
  }
  if (!frame->has_data) return;
  memset(tiles->data, 0, sizeof tiles->data);
  if (is_in_use(frame->context, COMPONENT_TILEDATA)) memcpy(tiles->data, data, sizeof tiles->data);
}

static void write_tiles(const Frame *frame, const EmulateTiles *tiles) {
  if (frame->has_config) {
    memcpy(component_at(frame->context, COMPONENT_TILECFG), tiles->config, sizeof tiles->config);
    mark_in_use(frame->context, COMPONENT_TILECFG);
  }
  if (frame->has_data) {
    memcpy(component_at(frame->context, COMPONENT_TILEDATA), tiles->data, sizeof tiles->data);
    mark_in_use(frame->context, COMPONENT_TILEDATA);
  }
}

/* ---- the frame --------------------------------------------------------------------------------------------------- */

bool frame_read(Frame *frame, ucontext_t *context, EmulateTiles *tiles, EmulateState *state) {
  *frame = (Frame){.context = context};
  *state = (EmulateState){.tiles = tiles};
  if (area_of(context) == NULL || software_of(context).magic != MAGIC) return false;
  const greg_t *gregs = context->uc_mcontext.gregs;
  for (int i = 0; i < 16; i++) state->gpr[i] = (uint64_t)gregs[gpr_index[i]];
  state->rip = (uint64_t)gregs[REG_RIP];
  state->rflags = (uint64_t)gregs[REG_EFL];
  memcpy(&state->mxcsr, area_of(context) + AT_MXCSR, sizeof state->mxcsr);
  for (int i = 0; i < COMPONENTS; i++) read_component(context, &components[i], state);
  state->has_avx512 = component_at(context, COMPONENT_ZMM_16) != NULL;
  if (tiles) read_tiles(frame, tiles);
  frame->before = *state;
  return true;
}

void frame_write(Frame *frame, const EmulateState *state) {
  greg_t *gregs = frame->context->uc_mcontext.gregs;
  for (int i = 0; i < 16; i++) gregs[gpr_index[i]] = (greg_t)state->gpr[i];
  gregs[REG_RIP] = (greg_t)state->rip;
  gregs[REG_EFL] = (greg_t)state->rflags;
  for (int i = 0; i < COMPONENTS; i++) write_component(frame, &components[i], state);
  if (state->tiles) write_tiles(frame, state->tiles);
}
