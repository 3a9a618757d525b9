// relu(max_pool2d(x, 2, stride 2)) and its gradient, each in one pass over images whose channels lie next to each other.
//
// Every number is the one that libtorch's own operations give, to the last bit: those are named where it matters.
//
// The rules of the C surface are those of crates/shim: null or a message, no exception leaves this file, tensors that go in are borrowed.
#include <ATen/TensorIterator.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "guard.h"

#define INLINE inline __attribute__((always_inline))

// Two rows of images become one, or the gradient of one becomes that of two. A row is `width` pixels of `channels` numbers.
using PoolRow = void (*)(const float* x, float* out, uint8_t* winners, int64_t width, int64_t channels);
using SpreadRow = void (*)(const float* gradient, const uint8_t* winners, float* x, int64_t width, int64_t channels);

namespace {

// A winner is the place of the maximum among the four pixels in the order of reading, or this if relu let nothing through.
constexpr int kNone = 4;

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

// As MaxPoolKernel.cpp has it: of equal numbers the first wins, of several NaN the last.
template <typename Floats, typename Ints>
INLINE void take(const float* pixel, int place, Floats& most, Ints& winner) {
  Floats x;
  load(x, pixel);
  const auto wins = (x > most) | (x != x);
  most = wins ? x : most;
  winner = wins ? Ints{} + place : winner;
}

template <int width>
INLINE void pool(const float* upper, const float* lower, int64_t channels, float* out, uint8_t* winners) {
  using Floats = typename Vectors<width>::Floats;
  using Ints = typename Vectors<width>::Ints;
  Floats most;
  Ints winner{};
  load(most, upper);
  take(upper + channels, 1, most, winner);
  take(lower, 2, most, winner);
  take(lower + channels, 3, most, winner);
  // clamp_min, which keeps NaN and, on x86-64, -0.0; and threshold_backward, which lets the gradient of a NaN through
  const Floats positive = most < 0.0f ? Floats{} : most;
  store(out, positive);
  winner = most <= 0.0f ? Ints{} + kNone : winner;
  store_bytes(winners, winner);
}

template <int width>
INLINE void spread(const float* gradient, const uint8_t* winners, int64_t channels, float* upper, float* lower) {
  using Floats = typename Vectors<width>::Floats;
  using Ints = typename Vectors<width>::Ints;
  Floats from;
  Ints winner;
  load(from, gradient);
  load_bytes(winner, winners);
  // libtorch adds it to a zero, which makes 0.0 of -0.0
  from = from + 0.0f;
  const Floats first = winner == 0 ? from : Floats{};
  const Floats second = winner == 1 ? from : Floats{};
  const Floats third = winner == 2 ? from : Floats{};
  const Floats fourth = winner == 3 ? from : Floats{};
  store(upper, first);
  store(upper + channels, second);
  store(lower, third);
  store(lower + channels, fourth);
}

template <int vector>
INLINE void pool_row(const float* x, float* out, uint8_t* winners, int64_t width, int64_t channels) {
  const float* upper = x;
  const float* lower = x + width * channels;
  for (int64_t pixel = 0; pixel < width / 2; pixel++) {
    int64_t c = 0;
    for (; c + vector <= channels; c += vector) pool<vector>(upper + c, lower + c, channels, out + c, winners + c);
    for (; c < channels; c++) pool<1>(upper + c, lower + c, channels, out + c, winners + c);
    upper += 2 * channels;
    lower += 2 * channels;
    out += channels;
    winners += channels;
  }
}

template <int vector>
INLINE void spread_row(const float* gradient, const uint8_t* winners, float* x, int64_t width, int64_t channels) {
  float* upper = x;
  float* lower = x + width * channels;
  for (int64_t pixel = 0; pixel < width / 2; pixel++) {
    int64_t c = 0;
    for (; c + vector <= channels; c += vector) spread<vector>(gradient + c, winners + c, channels, upper + c, lower + c);
    for (; c < channels; c++) spread<1>(gradient + c, winners + c, channels, upper + c, lower + c);
    upper += 2 * channels;
    lower += 2 * channels;
    gradient += channels;
    winners += channels;
  }
  if (width % 2 == 1) {
    std::fill_n(upper, channels, 0.0f);
    std::fill_n(lower, channels, 0.0f);
  }
}

// Four numbers are a vector of every processor that libtorch is built for.
void pool_row_of_4(const float* x, float* out, uint8_t* winners, int64_t width, int64_t channels) {
  pool_row<4>(x, out, winners, width, channels);
}

void spread_row_of_4(const float* gradient, const uint8_t* winners, float* x, int64_t width, int64_t channels) {
  spread_row<4>(gradient, winners, x, width, channels);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void pool_row_of_8(const float* x, float* out, uint8_t* winners, int64_t width, int64_t channels) {
  pool_row<8>(x, out, winners, width, channels);
}

__attribute__((target("avx2"))) void spread_row_of_8(const float* gradient, const uint8_t* winners, float* x, int64_t width, int64_t channels) {
  spread_row<8>(gradient, winners, x, width, channels);
}

// libtorch's own choice; the others are AVX2 and AVX512
const bool has_8 = at::get_cpu_capability().starts_with("AVX");
const PoolRow pool_row_here = has_8 ? pool_row_of_8 : pool_row_of_4;
const SpreadRow spread_row_here = has_8 ? spread_row_of_8 : spread_row_of_4;
#else
constexpr PoolRow pool_row_here = pool_row_of_4;
constexpr SpreadRow spread_row_here = spread_row_of_4;
#endif

// The same numbers in memory as they are read here. The dispatcher sees to the first two for libtorch's own operations: zeros that have no memory,
// and a sign that is not applied yet.
at::Tensor by_pixels(const at::Tensor& images) {
  const auto numbers = images._is_zerotensor() ? at::zeros(images.sizes(), images.options()) : images.resolve_neg();
  return numbers.contiguous(at::MemoryFormat::ChannelsLast);
}

// Of each image, the beginnings of `count` rows, each `apart` rows after the one before.
at::Tensor rows(const at::Tensor& images, int64_t count, int64_t apart) {
  const int64_t channels = images.size(1), height = images.size(2), width = images.size(3);
  return images.as_strided({images.size(0), count}, {height * width * channels, apart * width * channels});
}

// Calls `row` with the addresses of each row's beginning in the three tensors of `places`. A row is of as many numbers in the largest of them. The
// iterator brings libtorch's threads without OpenMP in this program.
template <typename Row>
void for_each_row(at::TensorIteratorConfig& places, int64_t numbers, const Row& row) {
  auto iterator = places.check_all_same_dtype(false).resize_outputs(false).set_check_mem_overlap(false).build();
  const auto rows = [&](char** data, const int64_t* strides, int64_t count) {
    for (int64_t i = 0; i < count; i++) row(data[0] + i * strides[0], data[1] + i * strides[1], data[2] + i * strides[2]);
  };
  iterator.for_each(rows, std::max<int64_t>(at::internal::GRAIN_SIZE / std::max<int64_t>(numbers, 1), 1));
}

class MaxPoolRelu : public torch::autograd::Function<MaxPoolRelu> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& images) {
    TORCH_CHECK(images.dim() == 4 && images.scalar_type() == at::kFloat && images.is_cpu(),
                "max_pool_relu takes images of floats on the CPU, [n, channels, height, width], not ", images.toString(), " ", images.sizes());
    const int64_t n = images.size(0), channels = images.size(1), height = images.size(2), width = images.size(3);
    TORCH_CHECK(height >= 2 && width >= 2, "max_pool_relu: images of ", height, " x ", width, " pixels have no 2 x 2 pixels");
    const auto x = by_pixels(images);
    auto out = at::empty({n, channels, height / 2, width / 2}, x.options(), at::MemoryFormat::ChannelsLast);
    auto winners = at::empty(out.sizes(), x.options().dtype(at::kByte), at::MemoryFormat::ChannelsLast);
    at::TensorIteratorConfig places;
    places.add_owned_output(rows(out, height / 2, 1))
        .add_owned_output(rows(winners, height / 2, 1))
        .add_owned_const_input(rows(x, height / 2, 2));
    for_each_row(places, 2 * width * channels, [&](char* out, char* winners, const char* x) {
      pool_row_here(reinterpret_cast<const float*>(x), reinterpret_cast<float*>(out), reinterpret_cast<uint8_t*>(winners), width, channels);
    });
    context->save_for_backward({winners});
    context->saved_data["height"] = height;
    context->saved_data["width"] = width;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, const torch::autograd::variable_list& gradients) {
    TORCH_CHECK(!(at::GradMode::is_enabled() && gradients[0].requires_grad()),
                "max_pool_relu can be differentiated once only: its gradient has none");
    const auto winners = context->get_saved_variables()[0];
    const int64_t n = winners.size(0), channels = winners.size(1);
    const int64_t height = context->saved_data["height"].toInt(), width = context->saved_data["width"].toInt();
    const auto gradient = by_pixels(gradients[0]);
    auto x = at::empty({n, channels, height, width}, gradient.options(), at::MemoryFormat::ChannelsLast);
    at::TensorIteratorConfig places;
    places.add_owned_output(rows(x, height / 2, 2))
        .add_owned_const_input(rows(gradient, height / 2, 1))
        .add_owned_const_input(rows(winners, height / 2, 1));
    for_each_row(places, 2 * width * channels, [&](char* x, const char* gradient, const char* winners) {
      spread_row_here(reinterpret_cast<const float*>(gradient), reinterpret_cast<const uint8_t*>(winners), reinterpret_cast<float*>(x), width, channels);
    });
    if (height % 2 == 1) x.narrow(2, height - 1, 1).zero_();
    return {x};
  }
};

}  // namespace

extern "C" {

char* kernels_max_pool_relu(const at::Tensor* images, at::Tensor** out) { GUARD(*out = new at::Tensor(MaxPoolRelu::apply(*images))) }

}  // extern "C"
