// relu(max_pool2d(conv2d(x, weight, bias, padding 1), 2)) of images of one channel with filters of 3 x 3, and the gradients of weight and bias. What
// the convolution gives is never in memory: four pixels of it at a time are in registers, and one of them is kept.
//
// The rules of the C surface are those of crates/shim: null or a message, no exception leaves this file, tensors that go in are borrowed.
#include <ATen/Version.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "guard.h"
#include "pooling.h"

namespace {

constexpr int kSide = 3, kTaps = kSide * kSide;
// The sums of an image for the gradients: one a tap of the filters, and one for the bias.
constexpr int kSums = kTaps + 1;

// An image with a frame of zeros, one pixel wide, around it.
struct Framed {
  // of the image itself
  int64_t height, width;
  std::vector<float> pixels;

  Framed(const float* image, int64_t height, int64_t width) : height(height), width(width), pixels((height + 2) * pitch()) {
    for (int64_t row = 0; row < height; row++) std::copy_n(image + row * width, width, pixels.data() + (row + 1) * pitch() + 1);
  }

  int64_t pitch() const { return width + 2; }
};

// The output of one image, whose channels lie next to each other, and the winners.
// `filters` holds, for each tap, a number of each channel.
using ConvolveImage = void (*)(const Framed& x, const float* filters, const float* bias, int64_t channels, float* out, uint8_t* winners);
// The sums of one image, each with a number of each channel.
using SumImage = void (*)(const Framed& x, const float* gradient, const uint8_t* winners, int64_t channels, float* sums);

template <typename Floats>
INLINE Floats greater(const Floats& a, const Floats& b) { return b > a ? b : a; }

// Of `width` channels, from `filters` and so on that begin with them.
template <int width>
INLINE void convolve(const Framed& x, const float* filters, const float* bias, int64_t channels, float* out, uint8_t* winners) {
  using Floats = typename Vectors<width>::Floats;
  using Ints = typename Vectors<width>::Ints;
  Floats filter[kTaps], start;
#pragma GCC unroll 9
  for (int tap = 0; tap < kTaps; tap++) load(filter[tap], filters + tap * channels);
  load(start, bias);
  const int64_t pitch = x.pitch();
  for (int64_t row = 0; row < x.height / 2; row++) {
    const float* corner = x.pixels.data() + 2 * row * pitch;
    for (int64_t pixel = 0; pixel < x.width / 2; pixel++) {
      Floats first = start, second = start, third = start, fourth = start;
#pragma GCC unroll 9
      for (int tap = 0; tap < kTaps; tap++) {
        const float* at = corner + tap / kSide * pitch + tap % kSide;
        first += at[0] * filter[tap];
        second += at[1] * filter[tap];
        third += at[pitch] * filter[tap];
        fourth += at[pitch + 1] * filter[tap];
      }
      // Each comparison decides about one thing: GCC takes vectors of 16 apart for one that decides about two. NaN is in the sum if it is in one of
      // the four, and lets the gradient through.
      Floats most = greater(greater(greater(first, second), third), fourth);
      const Floats all = first + second + third + fourth;
      most = all != all ? all : most;
      Ints winner = Ints{} + 3;
      winner = third == most ? Ints{} + 2 : winner;
      winner = second == most ? Ints{} + 1 : winner;
      winner = first == most ? Ints{} : winner;
      rectify(most, winner);
      store(out, most);
      store_bytes(winners, winner);
      corner += 2;
      out += channels;
      winners += channels;
    }
  }
}

template <int width>
INLINE void sum(const Framed& x, const float* gradient, const uint8_t* winners, int64_t channels, float* sums) {
  using Floats = typename Vectors<width>::Floats;
  using Ints = typename Vectors<width>::Ints;
  Floats of_tap[kTaps]{}, of_bias{};
  const int64_t pitch = x.pitch();
  for (int64_t row = 0; row < x.height / 2; row++) {
    const float* corner = x.pixels.data() + 2 * row * pitch;
    for (int64_t pixel = 0; pixel < x.width / 2; pixel++) {
      Floats from;
      Ints winner;
      load(from, gradient);
      load_bytes(winner, winners);
#pragma GCC unroll 4
      for (int place = 0; place < 4; place++) {
        const Floats here = winner == place ? from : Floats{};
        of_bias += here;
#pragma GCC unroll 9
        for (int tap = 0; tap < kTaps; tap++) {
          of_tap[tap] += corner[(place / 2 + tap / kSide) * pitch + place % 2 + tap % kSide] * here;
        }
      }
      corner += 2;
      gradient += channels;
      winners += channels;
    }
  }
#pragma GCC unroll 9
  for (int tap = 0; tap < kTaps; tap++) store(sums + tap * channels, of_tap[tap]);
  store(sums + kTaps * channels, of_bias);
}

template <int vector>
INLINE void convolve_image(const Framed& x, const float* filters, const float* bias, int64_t channels, float* out, uint8_t* winners) {
  int64_t c = 0;
  for (; c + vector <= channels; c += vector) convolve<vector>(x, filters + c, bias + c, channels, out + c, winners + c);
  for (; c < channels; c++) convolve<1>(x, filters + c, bias + c, channels, out + c, winners + c);
}

template <int vector>
INLINE void sum_image(const Framed& x, const float* gradient, const uint8_t* winners, int64_t channels, float* sums) {
  int64_t c = 0;
  for (; c + vector <= channels; c += vector) sum<vector>(x, gradient + c, winners + c, channels, sums + c);
  for (; c < channels; c++) sum<1>(x, gradient + c, winners + c, channels, sums + c);
}

// Four numbers are a vector of every processor that libtorch is built for.
void convolve_by_4(const Framed& x, const float* filters, const float* bias, int64_t channels, float* out, uint8_t* winners) {
  convolve_image<4>(x, filters, bias, channels, out, winners);
}

void sum_by_4(const Framed& x, const float* gradient, const uint8_t* winners, int64_t channels, float* sums) {
  sum_image<4>(x, gradient, winners, channels, sums);
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))

AVX2 void convolve_by_8(const Framed& x, const float* filters, const float* bias, int64_t channels, float* out, uint8_t* winners) {
  convolve_image<8>(x, filters, bias, channels, out, winners);
}

AVX2 void sum_by_8(const Framed& x, const float* gradient, const uint8_t* winners, int64_t channels, float* sums) {
  sum_image<8>(x, gradient, winners, channels, sums);
}

AVX512 void convolve_by_16(const Framed& x, const float* filters, const float* bias, int64_t channels, float* out, uint8_t* winners) {
  convolve_image<16>(x, filters, bias, channels, out, winners);
}

AVX512 void sum_by_16(const Framed& x, const float* gradient, const uint8_t* winners, int64_t channels, float* sums) {
  sum_image<16>(x, gradient, winners, channels, sums);
}

// libtorch's own choice: DEFAULT, AVX2 or AVX512
const bool has_16 = at::get_cpu_capability() == "AVX512", has_8 = has_16 || at::get_cpu_capability() == "AVX2";
const ConvolveImage convolve_here = has_16 ? convolve_by_16 : has_8 ? convolve_by_8 : convolve_by_4;
const SumImage sum_here = has_16 ? sum_by_16 : has_8 ? sum_by_8 : sum_by_4;
#else
constexpr ConvolveImage convolve_here = convolve_by_4;
constexpr SumImage sum_here = sum_by_4;
#endif

class ConvolutionMaxPoolRelu : public torch::autograd::Function<ConvolutionMaxPoolRelu> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& images, const at::Tensor& weight,
                            const at::Tensor& bias) {
    const auto are_floats = [](const at::Tensor& tensor) { return tensor.scalar_type() == at::kFloat && tensor.is_cpu(); };
    TORCH_CHECK(are_floats(images) && are_floats(weight) && are_floats(bias), "convolution_max_pool_relu takes floats on the CPU, not ",
                images.toString(), ", ", weight.toString(), " and ", bias.toString());
    TORCH_CHECK(images.dim() == 4 && images.size(1) == 1, "convolution_max_pool_relu takes images [n, 1, height, width], not ", images.sizes());
    TORCH_CHECK(!images.requires_grad(), "convolution_max_pool_relu has no gradient of its images, and these require one");
    const int64_t n = images.size(0), height = images.size(2), width = images.size(3);
    TORCH_CHECK(height >= 2 && width >= 2, "convolution_max_pool_relu: images of ", height, " x ", width, " pixels have no 2 x 2 pixels");
    const int64_t channels = weight.dim() == 4 ? weight.size(0) : 0;
    TORCH_CHECK(weight.sizes() == at::IntArrayRef({channels, 1, kSide, kSide}) && bias.sizes() == at::IntArrayRef({channels}),
                "convolution_max_pool_relu takes filters [channels, 1, 3, 3] and a bias of as many channels, not ", weight.sizes(), " and ",
                bias.sizes());
    const auto x = by_pixels(images), filters = weight.resolve_neg().contiguous(), biases = bias.resolve_neg().contiguous();
    std::vector<float> by_tap(kTaps * channels);
    for (int64_t c = 0; c < channels; c++) {
      for (int tap = 0; tap < kTaps; tap++) by_tap[tap * channels + c] = filters.const_data_ptr<float>()[c * kTaps + tap];
    }
    auto out = at::empty({n, channels, height / 2, width / 2}, x.options(), at::MemoryFormat::ChannelsLast);
    auto winners = at::empty(out.sizes(), x.options().dtype(at::kByte), at::MemoryFormat::ChannelsLast);
    at::TensorIteratorConfig places;
    places.add_owned_output(rows(out, 1, 0)).add_owned_output(rows(winners, 1, 0)).add_owned_const_input(rows(x, 1, 0));
    for_each_row<3>(places, kTaps * height * width * channels, [&](char* out, char* winners, const char* x) {
      const Framed framed(reinterpret_cast<const float*>(x), height, width);
      convolve_here(framed, by_tap.data(), biases.const_data_ptr<float>(), channels, reinterpret_cast<float*>(out),
                    reinterpret_cast<uint8_t*>(winners));
    });
    context->save_for_backward({x, winners, weight});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, const torch::autograd::variable_list& gradients) {
    TORCH_CHECK(!(at::GradMode::is_enabled() && gradients[0].requires_grad()),
                "convolution_max_pool_relu can be differentiated once only: its gradient has none");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &winners = saved[1], &weight = saved[2];
    const int64_t n = x.size(0), channels = weight.size(0), height = x.size(2), width = x.size(3);
    const auto gradient = by_pixels(gradients[0]);
    const auto sums = at::empty({n, kSums, 1, channels}, gradient.options());
    at::TensorIteratorConfig places;
    places.add_owned_output(rows(sums, 1, 0))
        .add_owned_const_input(rows(gradient, 1, 0))
        .add_owned_const_input(rows(winners, 1, 0))
        .add_owned_const_input(rows(x, 1, 0));
    for_each_row<4>(places, kTaps * height * width * channels, [&](char* sums, const char* gradient, const char* winners, const char* x) {
      const Framed framed(reinterpret_cast<const float*>(x), height, width);
      sum_here(framed, reinterpret_cast<const float*>(gradient), reinterpret_cast<const uint8_t*>(winners), channels, reinterpret_cast<float*>(sums));
    });
    // in the order of the images, whichever thread had which
    std::vector<float> total(kSums * channels);
    const float* of_image = sums.const_data_ptr<float>();
    for (int64_t image = 0; image < n; image++) {
      for (float& number : total) number += *of_image++;
    }
    const auto of_weight = at::empty(weight.sizes(), gradient.options()), of_bias = at::empty({channels}, gradient.options());
    for (int64_t c = 0; c < channels; c++) {
      for (int tap = 0; tap < kTaps; tap++) of_weight.mutable_data_ptr<float>()[c * kTaps + tap] = total[tap * channels + c];
      of_bias.mutable_data_ptr<float>()[c] = total[kTaps * channels + c];
    }
    return {at::Tensor(), of_weight, of_bias};
  }
};

}  // namespace

extern "C" {

char* kernels_convolution_max_pool_relu(const at::Tensor* images, const at::Tensor* weight, const at::Tensor* bias, at::Tensor** out) {
  GUARD(*out = new at::Tensor(ConvolutionMaxPoolRelu::apply(*images, *weight, *bias)))
}

}  // extern "C"
