// Runs statements and returns null; an exception becomes a malloc'ed message, which `take` of ../src/lib.rs takes.
#pragma once
#include <c10/util/Exception.h>

#include <cstring>
#include <exception>

#define GUARD(...)                                             \
  try {                                                        \
    __VA_ARGS__;                                               \
    return nullptr;                                            \
  } catch (const c10::Error& e) {                              \
    return strdup(e.what_without_backtrace());                 \
  } catch (const std::exception& e) {                          \
    return strdup(e.what());                                   \
  } catch (...) {                                              \
    return strdup("a C++ exception of an unknown type");       \
  }
