// A C surface over what runs a model that was trained elsewhere: TorchScript, and AOTInductor's compiled packages.
//
// The rules are those of shim.cpp: null or a message, no exception leaves this file, tensors that go in are borrowed. Tensors that come
// out belong to the caller.
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/script.h>

#include <dlfcn.h>
#include <memory>
#include <string>
#include <vector>

#include "guard.h"

struct Engine {
  virtual ~Engine() = default;
  virtual std::vector<at::Tensor> run(std::vector<at::Tensor> inputs, const std::vector<std::string>& outputs) = 0;
  // One for another thread, with the same weights.
  virtual std::unique_ptr<Engine> share() = 0;
};

namespace {

struct Script : Engine {
  torch::jit::Module module;

  explicit Script(torch::jit::Module m) : module(std::move(m)) {}

  std::vector<at::Tensor> run(std::vector<at::Tensor> inputs, const std::vector<std::string>& outputs) override {
    std::vector<c10::IValue> arguments;
    for (auto& input : inputs) arguments.emplace_back(std::move(input));
    auto answer = module.forward(std::move(arguments));
    std::vector<at::Tensor> tensors;
    auto add = [&](const c10::IValue& value) {
      TORCH_CHECK(value.isTensor(), "it returns ", value.tagKind(), " where its signature has a tensor");
      tensors.push_back(value.toTensor());
    };
    if (answer.isGenericDict()) {
      auto by_name = answer.toGenericDict();
      for (auto& name : outputs) {
        auto found = by_name.find(name);
        TORCH_CHECK(found != by_name.end(), "it returns no `", name, "`, which its signature has");
        add(found->value());
      }
    } else if (answer.isTuple()) {
      for (auto& value : answer.toTupleRef().elements()) add(value);
    } else if (answer.isList()) {
      for (const auto& value : answer.toListRef()) add(value);
    } else {
      add(answer);
    }
    return tensors;
  }

  // The copy has attributes of its own, so that a model which sets them does not race with itself; the weights are shared.
  std::unique_ptr<Engine> share() override { return std::make_unique<Script>(module.copy()); }
};

struct Package : Engine {
  std::shared_ptr<torch::inductor::AOTIModelPackageLoader> loader;

  explicit Package(std::shared_ptr<torch::inductor::AOTIModelPackageLoader> l) : loader(std::move(l)) {}

  std::vector<at::Tensor> run(std::vector<at::Tensor> inputs, const std::vector<std::string>&) override {
    return loader->boxed_run(std::move(inputs));
  }

  // The loader hands each call a runner of its own.
  std::unique_ptr<Engine> share() override { return std::make_unique<Package>(loader); }
};

}  // namespace

extern "C" {

// Loads a library, whose name is then known to libraries that need it.
char* engine_library(const char* path) {
  GUARD({
    TORCH_CHECK(dlopen(path, RTLD_NOW | RTLD_GLOBAL), dlerror());
  })
}

char* engine_script(const char* path, Engine** out) {
  GUARD({
    auto module = torch::jit::load(path, at::kCPU);
    module.eval();
    *out = new Script(std::move(module));
  })
}

char* engine_package(const char* path, size_t runners, Engine** out) {
  GUARD({
    auto loader = std::make_shared<torch::inductor::AOTIModelPackageLoader>(path, "model", /*run_single_threaded=*/false, runners);
    *out = new Package(std::move(loader));
  })
}

char* engine_share(Engine* engine, Engine** out) { GUARD(*out = engine->share().release()) }

char* engine_free(Engine* engine) { GUARD(delete engine) }

// Fills `out` with `output_count` tensors.
char* engine_run(Engine* engine, at::Tensor* const* inputs, size_t input_count, const char* const* outputs, size_t output_count,
                 at::Tensor** out) {
  GUARD({
    c10::InferenceMode inference;
    std::vector<at::Tensor> given;
    for (size_t i = 0; i < input_count; i++) given.push_back(*inputs[i]);
    std::vector<std::string> names(outputs, outputs + output_count);
    auto answer = engine->run(std::move(given), names);
    TORCH_CHECK(answer.size() == output_count, "it returns ", answer.size(), " tensors; its signature has ", output_count);
    std::vector<std::unique_ptr<at::Tensor>> tensors;
    for (auto& tensor : answer) {
      TORCH_CHECK(tensor.defined() && tensor.layout() == at::kStrided && tensor.is_cpu(), "it returns a tensor that is not dense, or not on the CPU");
      tensors.push_back(std::make_unique<at::Tensor>(tensor));
    }
    for (size_t i = 0; i < output_count; i++) out[i] = tensors[i].release();
  })
}

}  // extern "C"
