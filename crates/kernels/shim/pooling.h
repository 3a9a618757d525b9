// What the operations with a pool of 2 x 2 pixels and a relu have in common: which pixel wins, and how rows of images are gone over.
#pragma once
#include <ATen/TensorIterator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <tuple>

#include "vectors.h"

namespace {

// A winner is the place of the maximum among the four pixels in the order of reading, or this if relu let nothing through.
constexpr int kNone = 4;

// As MaxPoolKernel.cpp has it: of equal numbers the first wins, of several NaN the last.
template <typename Floats, typename Ints>
INLINE void take(const Floats& x, int place, Floats& most, Ints& winner) {
  const auto wins = (x > most) | (x != x);
  most = wins ? x : most;
  winner = wins ? Ints{} + place : winner;
}

// clamp_min, which keeps NaN and, on x86-64, -0.0; and threshold_backward, which lets the gradient of a NaN through
template <typename Floats, typename Ints>
INLINE void rectify(Floats& most, Ints& winner) {
  winner = most <= 0.0f ? Ints{} + kNone : winner;
  most = most < 0.0f ? Floats{} : most;
}

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

// Calls `row` with the addresses of each row's beginning in the tensors of `places`, which are as many as `tensors`. `numbers` says how much work
// a row is, as the count of numbers that are read or written. The iterator brings libtorch's threads without OpenMP in this program.
template <size_t tensors, typename Row>
void for_each_row(at::TensorIteratorConfig& places, int64_t numbers, const Row& row) {
  auto iterator = places.check_all_same_dtype(false).resize_outputs(false).set_check_mem_overlap(false).build();
  const auto rows = [&](char** data, const int64_t* strides, int64_t count) {
    std::array<char*, tensors> at;
    std::copy_n(data, tensors, at.begin());
    for (int64_t i = 0; i < count; i++) {
      std::apply(row, at);
      for (size_t tensor = 0; tensor < tensors; tensor++) at[tensor] += strides[tensor];
    }
  };
  iterator.for_each(rows, std::max<int64_t>(at::internal::GRAIN_SIZE / std::max<int64_t>(numbers, 1), 1));
}

}  // namespace
