/* dlopen_probe LIB...: opens each as CPython opens an extension module, and says what is in the process afterwards.
   Prints "ok LIB" or "fail MESSAGE" for each, then "file PATH" for each object with a path, in the order of loading. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

static int show(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size, (void)data;
  if (info->dlpi_name && strchr(info->dlpi_name, '/')) printf("file %s\n", info->dlpi_name);
  return 0;
}

int main(int count, char **names) {
  for (int i = 1; i < count; i++) {
    if (dlopen(names[i], RTLD_NOW | RTLD_LOCAL)) printf("ok %s\n", names[i]);
    else printf("fail %s\n", dlerror());
  }
  dl_iterate_phdr(show, 0);
  return 0;
}
