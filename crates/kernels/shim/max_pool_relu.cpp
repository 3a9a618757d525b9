// relu(max_pool2d(x, 2, stride 2)) and its gradient, each in one pass over images whose channels lie next to each other.
//
// Every number is the one that libtorch's own operations give, to the last bit: those are named where it matters.
//
// The rules of the C surface are those of crates/shim: null or a message, no exception leaves this file, tensors that go in are borrowed.
#include <ATen/Version.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>

#include "guard.h"
#include "pooling.h"

// Two rows of images become one, or the gradient of one becomes that of two. A row is `width` pixels of `channels` numbers.
using PoolRow = void (*)(const float* x, float* out, uint8_t* winners, int64_t width, int64_t channels);
using SpreadRow = void (*)(const float* gradient, const uint8_t* winners, float* x, int64_t width, int64_t channels);

namespace {

template <int width>
INLINE void pool(const float* upper, const float* lower, int64_t channels, float* out, uint8_t* winners) {
  using Floats = typename Vectors<width>::Floats;
  using Ints = typename Vectors<width>::Ints;
  Floats most, second, third, fourth;
  Ints winner{};
  load(most, upper);
  load(second, upper + channels);
  load(third, lower);
  load(fourth, lower + channels);
  take(second, 1, most, winner);
  take(third, 2, most, winner);
  take(fourth, 3, most, winner);
  rectify(most, winner);
  store(out, most);
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
    for_each_row<3>(places, 2 * width * channels, [&](char* out, char* winners, const char* x) {
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
    for_each_row<3>(places, 2 * width * channels, [&](char* x, const char* gradient, const char* winners) {
      spread_row_here(reinterpret_cast<const float*>(gradient), reinterpret_cast<const uint8_t*>(winners), reinterpret_cast<float*>(x), width,
                      channels);
    });
    if (height % 2 == 1) x.narrow(2, height - 1, 1).zero_();
    return {x};
  }
};

}  // namespace

extern "C" {

char* kernels_max_pool_relu(const at::Tensor* images, at::Tensor** out) { GUARD(*out = new at::Tensor(MaxPoolRelu::apply(*images))) }

}  // extern "C"
