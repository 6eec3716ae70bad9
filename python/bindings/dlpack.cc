// Arrays of any framework that speaks DLPack: where their memory is.
#include <fmt/format.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <string>
#include <vector>

#include "bindings/bindings.h"

namespace waypost::python {
namespace {

// DLPack's codes of the eight-bit floats (dlpack.h, DLDataTypeCode) and TensorFlow's names.
struct Float8 {
  int code;
  const char* name;
};
constexpr std::array kFloat8 = {Float8{7, "float8_e4m3b11fnuz"}, Float8{10, "float8_e4m3fn"},
                                Float8{11, "float8_e4m3fnuz"}, Float8{12, "float8_e5m2"},
                                Float8{13, "float8_e5m2fnuz"}};

std::string NameOf(nb::dlpack::dtype dtype) {
  if (dtype.lanes != 1) return fmt::format("of {} lanes", dtype.lanes);
  for (const Float8& known : kFloat8) {
    if (dtype.code == known.code && dtype.bits == 8) return known.name;
  }
  switch (static_cast<nb::dlpack::dtype_code>(dtype.code)) {
    case nb::dlpack::dtype_code::Int: return fmt::format("int{}", dtype.bits);
    case nb::dlpack::dtype_code::UInt: return fmt::format("uint{}", dtype.bits);
    case nb::dlpack::dtype_code::Float: return fmt::format("float{}", dtype.bits);
    case nb::dlpack::dtype_code::Bfloat: return fmt::format("bfloat{}", dtype.bits);
    case nb::dlpack::dtype_code::Complex: return fmt::format("complex{}", dtype.bits);
    case nb::dlpack::dtype_code::Bool: return "bool";
    default: return fmt::format("of DLPack's code {}", dtype.code);
  }
}

// Holds the array's capsule, and so its memory.
template <typename Array>
class View {
 public:
  explicit View(Array array) : array_(std::move(array)) {}

  std::string dtype() const { return NameOf(array_.dtype()); }
  std::vector<std::int64_t> shape() const {
    std::vector<std::int64_t> shape;
    for (std::size_t i = 0; i < array_.ndim(); ++i) {
      shape.push_back(static_cast<std::int64_t>(array_.shape(i)));
    }
    return shape;
  }
  std::uintptr_t address() const {
    return array_.size() == 0 ? 0 : reinterpret_cast<std::uintptr_t>(array_.data());
  }
  // Row-major, without gaps.
  bool is_contiguous() const {
    std::int64_t expected = 1;
    for (std::size_t i = array_.ndim(); i-- > 0;) {
      if (array_.shape(i) != 1 && array_.stride(i) != expected) return array_.size() == 0;
      expected *= static_cast<std::int64_t>(array_.shape(i));
    }
    return true;
  }
  // "" for the host, "cuda:0"; another device's number where it is none that Waypost knows.
  std::string device() const {
    switch (array_.device_type()) {
      case nb::device::cpu::value:
      case nb::device::cuda_host::value: return "";
      case nb::device::cuda::value:
      case nb::device::cuda_managed::value: return fmt::format("cuda:{}", array_.device_id());
      default: return fmt::format("DLPack device {}", array_.device_type());
    }
  }

 private:
  Array array_;
};

template <typename Array>
void BindView(nb::module_& module, const char* name) {
  using ThisView = View<Array>;
  nb::class_<ThisView>(module, name, "Where an array's memory is, and what keeps it.")
      .def(nb::init<Array>(), nb::arg("array").noconvert(),
           nb::sig("def __init__(self, array: typing.Any) -> None"))
      .def_prop_ro("dtype", &ThisView::dtype)
      .def_prop_ro("shape", &ThisView::shape)
      .def_prop_ro("address", &ThisView::address)
      .def_prop_ro("is_contiguous", &ThisView::is_contiguous)
      .def_prop_ro("device", &ThisView::device);
}

}  // namespace

void BindDlpack(nb::module_& module) {
  BindView<nb::ndarray<nb::ro>>(module, "DlpackView");
  BindView<nb::ndarray<>>(module, "WritableDlpackView");
}

}  // namespace waypost::python
