// All parameters of a network in one tensor, and all gradients in another.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

struct Parameters {
  at::Tensor values;
  // With one number more at the end, for what the workers average together with the gradients.
  at::Tensor exchanged;
  // All of `exchanged` but its last number.
  at::Tensor gradients;
  // Counted references to the caller's tensors, which are views of `values` from here on.
  std::vector<at::Tensor> tensors;
  // The places of their gradients in `gradients`.
  std::vector<at::Tensor> places;
};
