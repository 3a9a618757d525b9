// A C surface over what a step of training needs beyond autograd: all parameters in one tensor, all gradients in another, and the fused
// optimizers over both.
//
// The rules are those of shim.cpp: null or a message, no exception leaves this file, tensors that go in are borrowed.
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "guard.h"
#include "parameters.h"

struct Optimizer {
  // The numbers are those of optimizer.rs.
  enum class Algorithm : int { kAdam = 0, kAdamW = 1, kSgd = 2 };
  Algorithm algorithm;
  double momentum;
  double weight_decay;
  // Of Adam: means of the gradients and of their squares, and the number of steps. Of SGD with momentum: the momentum.
  at::Tensor first;
  at::Tensor second;
  at::Tensor steps;
};

// A tensor of floats, which is contiguous.
static void copy_out(const at::Tensor& from, float* numbers, size_t count) {
  TORCH_CHECK(static_cast<size_t>(from.numel()) == count, "it has ", from.numel(), " numbers and not ", count);
  std::copy_n(from.const_data_ptr<float>(), count, numbers);
}

static void copy_in(at::Tensor& to, const float* numbers, size_t count) {
  TORCH_CHECK(static_cast<size_t>(to.numel()) == count, "it has ", to.numel(), " numbers and not ", count);
  std::copy_n(numbers, count, to.mutable_data_ptr<float>());
}

// A mean of gradients that have become zero falls by a factor a step, until it is subnormal: a processor takes many times as long for such
// numbers. So what has become too small to matter is zero from time to time, and often enough that nothing becomes subnormal between two times; with a
// momentum below 0.62 it may, but not for longer than until the next time.
constexpr int kStepsBetween = 64;
// Adam divides by the root of `second` plus 1e-8, so less than these two change no parameter.
constexpr float kNoFirst = 1e-25f, kNoSecond = 1e-31f;

static void forget_less_than(float least, const at::Tensor& moments) {
  float* numbers = moments.mutable_data_ptr<float>();
  for (int64_t i = 0, count = moments.numel(); i < count; i++) numbers[i] = std::fabs(numbers[i]) < least ? 0.0f : numbers[i];
}

extern "C" {

char* parameters_new(at::Tensor* const* tensors, size_t count, Parameters** out, float** gradients, size_t* numbers) {
  GUARD({
    at::NoGradGuard no_grad;
    auto all = std::make_unique<Parameters>();
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
      const auto& tensor = *tensors[i];
      TORCH_CHECK(tensor.scalar_type() == at::kFloat && tensor.is_cpu() && tensor.is_leaf(), "parameter ", i, " is not a leaf of floats on the CPU");
      TORCH_CHECK(tensor.is_non_overlapping_and_dense(), "parameter ", i, " has gaps in memory");
      all->tensors.push_back(tensor);
      total += tensor.numel();
    }
    all->values = at::empty({total}, at::kFloat);
    all->exchanged = at::zeros({total + 1}, at::kFloat);
    all->gradients = all->exchanged.narrow(0, 0, total);
    int64_t offset = 0;
    for (auto& tensor : all->tensors) {
      // in the order of memory that the tensor has, which the convolutions choose their kernels by
      auto place = all->values.as_strided(tensor.sizes(), tensor.strides(), offset);
      place.copy_(tensor);
      all->places.push_back(all->gradients.as_strided(tensor.sizes(), tensor.strides(), offset));
      offset += tensor.numel();
      tensor.set_data(place);
      tensor.mutable_grad().reset();
    }
    *gradients = all->exchanged.mutable_data_ptr<float>();
    *numbers = static_cast<size_t>(total);
    *out = all.release();
  })
}

char* parameters_free(Parameters* parameters) { GUARD(delete parameters) }

// Copies all values, in the order of memory, out or in.
char* parameters_copy(const Parameters* parameters, float* numbers, size_t count) {
  GUARD({
    at::NoGradGuard no_grad;
    copy_out(parameters->values, numbers, count);
  })
}

char* parameters_set(Parameters* parameters, const float* numbers, size_t count) {
  GUARD({
    at::NoGradGuard no_grad;
    copy_in(parameters->values, numbers, count);
  })
}

// Moves the gradients that a backward pass left into `gradients`, so that the next one does not add to them.
char* parameters_take_gradients(Parameters* parameters) {
  GUARD({
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters->tensors.size(); i++) {
      auto& gradient = parameters->tensors[i].mutable_grad();
      TORCH_CHECK(gradient.defined(), "parameter ", i, " has no gradient");
      parameters->places[i].copy_(gradient);
      gradient.reset();
    }
  })
}

char* optimizer_new(int algorithm, double momentum, double weight_decay, const Parameters* parameters, Optimizer** out) {
  GUARD({
    auto optimizer = std::make_unique<Optimizer>();
    optimizer->algorithm = static_cast<Optimizer::Algorithm>(algorithm);
    optimizer->momentum = momentum;
    optimizer->weight_decay = weight_decay;
    optimizer->steps = at::zeros({}, at::kFloat);
    if (optimizer->algorithm != Optimizer::Algorithm::kSgd) {
      optimizer->first = at::zeros_like(parameters->values);
      optimizer->second = at::zeros_like(parameters->values);
    } else if (momentum != 0) {
      optimizer->first = at::zeros_like(parameters->values);
    }
    *out = optimizer.release();
  })
}

char* optimizer_free(Optimizer* optimizer) { GUARD(delete optimizer) }

// How many numbers `first` and `second` have; 0 for one that the algorithm does not need.
char* optimizer_counts(const Optimizer* optimizer, size_t* first, size_t* second) {
  GUARD({
    *first = optimizer->first.defined() ? static_cast<size_t>(optimizer->first.numel()) : 0;
    *second = optimizer->second.defined() ? static_cast<size_t>(optimizer->second.numel()) : 0;
  })
}

char* optimizer_copy(const Optimizer* optimizer, float* first, size_t first_count, float* second, size_t second_count, float* steps) {
  GUARD({
    if (optimizer->first.defined()) copy_out(optimizer->first, first, first_count);
    if (optimizer->second.defined()) copy_out(optimizer->second, second, second_count);
    *steps = optimizer->steps.item<float>();
  })
}

char* optimizer_set(Optimizer* optimizer, const float* first, size_t first_count, const float* second, size_t second_count, float steps) {
  GUARD({
    at::NoGradGuard no_grad;
    TORCH_CHECK(optimizer->first.defined() == (first_count > 0) && optimizer->second.defined() == (second_count > 0), "it is the state of another algorithm");
    if (first_count > 0) copy_in(optimizer->first, first, first_count);
    if (second_count > 0) copy_in(optimizer->second, second, second_count);
    optimizer->steps.fill_(steps);
  })
}

// As torch/optim/adam.py, adamw.py and sgd.py call them with `fused=True`.
char* optimizer_step(Optimizer* optimizer, Parameters* parameters, double learning_rate) {
  GUARD({
    at::NoGradGuard no_grad;
    const auto& first = optimizer->first;
    TORCH_CHECK(!first.defined() || first.sizes() == parameters->values.sizes(), "these are not the parameters that it was made for");
    const auto steps = static_cast<int64_t>(optimizer->steps.item<float>());
    optimizer->steps.add_(1);
    const double decay = optimizer->weight_decay;
    switch (optimizer->algorithm) {
      case Optimizer::Algorithm::kAdam:
        at::_fused_adam_({parameters->values}, {parameters->gradients}, {first}, {optimizer->second}, {}, {optimizer->steps},
                         learning_rate, 0.9, 0.999, decay, 1e-8, /*amsgrad=*/false, /*maximize=*/false);
        break;
      case Optimizer::Algorithm::kAdamW:
        at::_fused_adamw_({parameters->values}, {parameters->gradients}, {first}, {optimizer->second}, {}, {optimizer->steps},
                          learning_rate, 0.9, 0.999, decay, 1e-8, /*amsgrad=*/false, /*maximize=*/false);
        break;
      case Optimizer::Algorithm::kSgd: {
        std::vector<at::Tensor> momentum;
        if (first.defined()) momentum.push_back(first);
        at::_fused_sgd_({parameters->values}, {parameters->gradients}, momentum, decay, optimizer->momentum, learning_rate,
                        /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/first.defined() && steps == 0);
        break;
      }
    }
    // by the number of the step, so that a training that goes on does the same
    if ((steps + 1) % kStepsBetween == 0) {
      if (first.defined()) forget_less_than(kNoFirst, first);
      if (optimizer->second.defined()) forget_less_than(kNoSecond, optimizer->second);
    }
  })
}

}  // extern "C"
