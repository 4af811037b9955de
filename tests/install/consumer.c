/* consumer.c: the smallest program against an installed Kiln: build a graph from text, compile it, say what it became.
 */
#include <kiln/kiln.h>
#include <stdio.h>

int main(void) {
  kiln_engine *engine;
  kiln_kernel *kernel;
  kiln_kernel_info info = {0};
  if (kiln_engine_create(NULL, &engine) != KILN_OK) return 1;
  if (kiln_compile_text(engine, "x: f32[m, 16]; w: f32[16, 8]; y: f32 = x @ w; return y", NULL, &kernel) != KILN_OK)
    return 1;
  if (kiln_kernel_describe(kernel, &info) != KILN_OK) return 1;
  printf("kiln %s: %s for %s\n", KILN_VERSION, info.template_, info.target);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  return 0;
}
