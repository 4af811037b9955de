/* pack.c: packed operands as blobs: a header that says the layout, then the elements as the kernel reads them.
 *
 * A blob depends on type, layout and sizes only, not on the kernel, the target or this process, so it may be kept in a
 * file and mapped by another kernel that wants the same. It is in the byte order of the machine, which the magic shows.
 */
#include <string.h>

#include "runtime/runtime.h"

static const char blob_magic[] = "kilnpack"; /* without the NUL */
enum { BLOB_VERSION = 1 };

/* FNV-1a over the fields before it. */
static uint64_t checksum_of(const BlobHeader *header) {
  const unsigned char *bytes = (const unsigned char *)header;
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < offsetof(BlobHeader, checksum); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

/* The layouts a blob may have, by numbers of its own: those of an enum could move. */
static int32_t layout_number(LayoutKind layout) {
  KILN_ASSERT(layout != LAYOUT_STRIDED); /* what is packed has a layout of its own */
  switch (layout) {
  case LAYOUT_STRIDED:
  case LAYOUT_ROW_MAJOR: return 1;
  case LAYOUT_COL_PANEL: return 2;
  case LAYOUT_ROW_PANEL: return 3;
  }
  return 0;
}

bool rt_blob_describe(const BufType *type, const int64_t *symbols, BlobHeader *header) {
  *header = (BlobHeader){
      .version = BLOB_VERSION,
      .args_version = KILN_ARGS_VERSION,
      .type = (int32_t)type->type,
      .layout = layout_number(type->layout),
      .panel = type->panel,
      .group = type->group,
      .rank = type->rank,
  };
  memcpy(header->magic, blob_magic, sizeof header->magic);
  int64_t bound = 64;
  for (int i = 0; i < type->rank; ++i) {
    int64_t size = extent_value(type->dims[i], symbols);
    /* A panel or group pads an axis by less than TILE_MAX_EXTENT, so this bounds what buf_span multiplies. */
    if (size < 0 || size > INT64_MAX - TILE_MAX_EXTENT) return false;
    if (__builtin_mul_overflow(bound, size + TILE_MAX_EXTENT, &bound)) return false;
    header->dims[i] = size;
  }
  header->payload_bytes = type_bytes(type->type, (size_t)buf_span(type, symbols));
  header->checksum = checksum_of(header);
  return true;
}

/* `f32[64, 96] in column panels of 48x1` */
static void print_layout(const BlobHeader *header, Text *out) {
  text_printf(out, "%s[", kiln_type_name((kiln_type)header->type));
  for (int i = 0; i < header->rank; ++i) text_printf(out, "%s%lld", i ? ", " : "", (long long)header->dims[i]);
  text_add(out, "]");
  if (header->layout != 1)
    text_printf(out, " in %s panels of %dx%d", header->layout == 2 ? "column" : "row", (int)header->panel,
                (int)header->group);
}

/* Whether it is a blob of this version, whatever its layout. */
static bool is_blob(const BlobHeader *blob) {
  return memcmp(blob->magic, blob_magic, sizeof blob->magic) == 0 && blob->version == BLOB_VERSION &&
         blob->checksum == checksum_of(blob);
}

void rt_blob_explain(const BlobHeader *blob, const BlobHeader *expected, Text *out) {
  if (memcmp(blob->magic, blob_magic, sizeof blob->magic) != 0) {
    text_add(out, "is no blob of kiln_pack");
  } else if (blob->version != BLOB_VERSION || blob->args_version != KILN_ARGS_VERSION) {
    text_printf(out, "is a blob of version %u.%u, expected %d.%d", blob->version, blob->args_version, BLOB_VERSION,
                KILN_ARGS_VERSION);
  } else if (blob->checksum != checksum_of(blob) || blob->rank < 0 || blob->rank > TILE_MAX_RANK) {
    text_add(out, "is a damaged blob");
  } else {
    text_add(out, "is packed as ");
    print_layout(blob, out);
    text_add(out, ", expected ");
    print_layout(expected, out);
  }
}

const void *kiln_packed_data(const void *blob) {
  if (!blob || !is_blob(blob)) return NULL;
  return (const char *)blob + BLOB_BYTES;
}

bool kiln_kernel_is_packed(const kiln_kernel *kernel, size_t input) {
  return kernel && input < kernel->code->input_count && kernel->code->ports[input].pack;
}

/* The blob's header of input i for these symbols, of which only those that its sizes and strides name count. */
static kiln_status describe_input(const kiln_kernel *kernel, size_t input, const int64_t *symbols, BlobHeader *header) {
  if (!kiln_kernel_is_packed(kernel, input)) return KILN_INVALID_ARGUMENT;
  const Port *port = &kernel->code->ports[input];
  if (port->is_fixed) {
    *header = port->header;
    return KILN_OK;
  }
  if (!symbols || graph_check_symbols(kernel->code->graph, symbols, NULL) != KILN_OK) return KILN_INVALID_ARGUMENT;
  return rt_blob_describe(&port->pack->type, symbols, header) ? KILN_OK : KILN_INVALID_ARGUMENT;
}

kiln_status kiln_packed_bytes(const kiln_kernel *kernel, size_t input, const int64_t *symbols, size_t *bytes) {
  BlobHeader header;
  if (!bytes) return KILN_INVALID_ARGUMENT;
  kiln_status status = describe_input(kernel, input, symbols, &header);
  if (!status) *bytes = BLOB_BYTES + (size_t)header.payload_bytes;
  return status;
}

/* Whether an input's view for these symbols can be addressed. */
static bool source_fits(const Node *node, const int64_t *symbols) {
  int64_t span = 64;
  for (int i = 0; i < node->shape.rank; ++i) {
    int64_t size = dim_value(node->shape.dims[i], symbols);
    int64_t stride = node->has_strides ? dim_value(node->strides[i], symbols) : 1;
    if (size < 0 || stride < 0 || size > GRAPH_MAX_SIZE || stride > GRAPH_MAX_SIZE) return false;
    if (__builtin_mul_overflow(span, (size ? size : 1) * (stride ? stride : 1), &span)) return false;
  }
  return true;
}

void rt_pack(const Code *code, size_t input, const int64_t *symbols, const void *data, void *payload) {
  const Port *port = &code->ports[input];
  void *buffers[] = {(void *)data, payload};
  int64_t dims[GRAPH_MAX_SYMBOLS + PLAN_MAX_SIZES] = {0};
  tmpl_fill_sizes(&code->plan, symbols, dims);
  kiln_args args = {.buffers = buffers, .dims = dims};
  for (int64_t task = 0, tasks = port->pack_tasks(&args); task < tasks; ++task) port->packer(&args, task);
}

kiln_status kiln_pack(const kiln_kernel *kernel, size_t input, const int64_t *symbols, const void *data, void *blob,
                      size_t blob_bytes) {
  BlobHeader header;
  kiln_status status = describe_input(kernel, input, symbols, &header);
  if (status) return status;
  const Port *port = &kernel->code->ports[input];
  if (!blob || (uintptr_t)blob % 64 != 0 || blob_bytes < BLOB_BYTES + header.payload_bytes)
    return KILN_INVALID_ARGUMENT;
  if (!source_fits(port->node, symbols)) return KILN_INVALID_ARGUMENT;
  bool is_empty = node_span(port->node, symbols) == 0;
  if (!is_empty && (!data || ((uintptr_t)data & port->misaligned))) return KILN_INVALID_ARGUMENT;
  memcpy(blob, &header, sizeof header);
  rt_pack(kernel->code, input, symbols, data, (char *)blob + BLOB_BYTES);
  return KILN_OK;
}
