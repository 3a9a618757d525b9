// Vectors of floats for kernels whose inner loop goes over the channels of a pixel.
#pragma once
#include <cstdint>
#include <cstring>

#define INLINE inline __attribute__((always_inline))

namespace {

// The compiler's vectors, which are as fast as intrinsics and are the same for every processor. They are passed by reference, because how a
// vector is passed by value depends on the processor.
template <int width>
struct Vectors {
  typedef float Floats __attribute__((vector_size(4 * width)));
  typedef int32_t Ints __attribute__((vector_size(4 * width)));
  typedef uint8_t Bytes __attribute__((vector_size(width)));
};

template <>
struct Vectors<1> {
  using Floats = float;
  using Ints = int32_t;
  using Bytes = uint8_t;
};

template <typename Vector, typename Number>
INLINE void load(Vector& vector, const Number* from) { std::memcpy(&vector, from, sizeof vector); }

template <typename Vector, typename Number>
INLINE void store(Number* to, const Vector& vector) { std::memcpy(to, &vector, sizeof vector); }

INLINE void store_bytes(uint8_t* to, const int32_t& winner) { *to = static_cast<uint8_t>(winner); }

template <typename Ints>
INLINE void store_bytes(uint8_t* to, const Ints& winners) {
  using Bytes = typename Vectors<sizeof(Ints) / 4>::Bytes;
  const Bytes bytes = __builtin_convertvector(winners, Bytes);
  store(to, bytes);
}

// The same, by taking the low byte of each number, because GCC takes the vector apart for a conversion. GCC 11 has nothing better.
#if __has_builtin(__builtin_shufflevector)
INLINE void store_bytes(uint8_t* to, const Vectors<4>::Ints& winners) {
  typedef uint8_t All __attribute__((vector_size(16)));
  const Vectors<4>::Bytes bytes = __builtin_shufflevector((All)winners, (All)winners, 0, 4, 8, 12);
  store(to, bytes);
}

INLINE void store_bytes(uint8_t* to, const Vectors<8>::Ints& winners) {
  typedef uint8_t All __attribute__((vector_size(32)));
  const Vectors<8>::Bytes bytes = __builtin_shufflevector((All)winners, (All)winners, 0, 4, 8, 12, 16, 20, 24, 28);
  store(to, bytes);
}
#endif

INLINE void load_bytes(int32_t& winner, const uint8_t* from) { winner = *from; }

template <typename Ints>
INLINE void load_bytes(Ints& winners, const uint8_t* from) {
  typename Vectors<sizeof(Ints) / 4>::Bytes bytes;
  load(bytes, from);
  winners = __builtin_convertvector(bytes, Ints);
}

}  // namespace
