// CheckpointReader, and views of mapped tensors.
#include <fmt/format.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "bindings/bindings.h"
#include "bindings/tensor.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"

namespace waypost::python {
namespace {

using Info = CheckpointReader::TensorInfo;

nb::list ExtentsOf(const Info& info) {
  nb::list extents;
  for (const CheckpointReader::Extent& extent : info.extents) {
    nb::list slice;
    for (const TensorSlice::Extent& part : extent.slice.extents)
      slice.append(nb::make_tuple(part.start, part.length));
    extents.append(nb::make_tuple(nb::tuple(slice), extent.shard, extent.offset, extent.size_bytes,
                                  extent.crc32c));
  }
  return extents;
}

nb::tuple Described(const Info& info) {
  return nb::make_tuple(ToBytes(info.name), std::string(DTypeName(info.dtype)), info.shape,
                        info.is_sliced, ExtentsOf(info));
}

// The pages of `view` may be written from now on: a page that is written becomes the process's own,
// and the file stays as it is.  The mapping is a private one, which the system allows that for also
// where the file was opened to be read only.
void MakeCopyOnWrite(const ConstTensorView& view) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(view.data()) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(view.data()) + view.size_bytes();
  if (::mprotect(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE) != 0) {
    throw Error(Code::kUnavailable,
                fmt::format("map a tensor to be written: {}", std::strerror(errno)));
  }
}

// The tensor's bytes as an array of uint8; what it stands on lives as long as it does.
nb::object Map(const CheckpointReader& reader, const nb::bytes& name, bool verify, bool writable) {
  auto mapped = std::make_unique<MappedTensor>();
  {
    const std::string_view tensor(name.c_str(), name.size());
    const nb::gil_scoped_release release;
    *mapped = reader.Map(tensor, {.verify = verify});
    if (writable && !mapped->is_copy() && mapped->view().size_bytes() > 0)
      MakeCopyOnWrite(mapped->view());
  }
  const ConstTensorView view = mapped->view();
  const std::size_t size = view.size_bytes();
  const nb::capsule owner(mapped.release(),
                          [](void* tensor) noexcept { delete static_cast<MappedTensor*>(tensor); });
  if (writable) {
    return nb::cast(nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>>(
        const_cast<void*>(view.data()), {size}, owner));
  }
  return nb::cast(
      nb::ndarray<nb::numpy, const std::uint8_t, nb::ndim<1>>(view.data(), {size}, owner));
}

nb::list ReadStrings(const CheckpointReader& reader, const nb::bytes& name) {
  const std::string_view tensor(name.c_str(), name.size());
  std::vector<std::string> strings;
  {
    const nb::gil_scoped_release release;
    const std::optional<Info> info = reader.Find(tensor);
    if (!info) throw Error(Code::kNotFound, fmt::format("{}: no tensor of this name", tensor));
    strings.resize(static_cast<std::size_t>(ElementCount(info->shape)));
    reader.Read(tensor, TensorView(strings.data(), DType::kString, info->shape));
  }
  nb::list list;
  for (const std::string& string : strings) list.append(ToBytes(string));
  return list;
}

}  // namespace

void BindReader(nb::module_& module) {
  nb::class_<CheckpointReader>(module, "CheckpointReader", "What is in a checkpoint.")
      .def(nb::init<const std::string&>(), nb::arg("prefix"), WithoutGil())
      .def_prop_ro("shard_count", &CheckpointReader::shard_count)
      .def_prop_ro("is_v1", &CheckpointReader::is_v1)
      .def(
          "tensors",
          [](const CheckpointReader& reader) {
            std::vector<Info> infos;
            {
              const nb::gil_scoped_release release;
              infos = reader.List();
            }
            nb::list list;
            for (const Info& info : infos) list.append(Described(info));
            return list;
          },
          "Of each tensor name, dtype, shape, whether it is sliced, and its extents: slice, shard, "
          "offset, bytes, CRC-32C.",
          nb::sig(
              "def tensors(self) -> list[tuple[bytes, str, list[int], bool, list[typing.Any]]]"))
      .def(
          "find",
          [](const CheckpointReader& reader, const nb::bytes& name) -> nb::object {
            const std::string_view tensor(name.c_str(), name.size());
            std::optional<Info> info;
            {
              const nb::gil_scoped_release release;
              info = reader.Find(tensor);
            }
            return info ? nb::object(Described(*info)) : nb::none();
          },
          nb::arg("name"),
          nb::sig("def find(self, name: bytes) -> tuple[bytes, str, list[int], bool, "
                  "list[typing.Any]] | None"))
      .def("map", &Map, nb::arg("name"), nb::arg("verify"), nb::arg("writable"),
           nb::sig("def map(self, name: bytes, verify: bool, writable: bool) -> "
                   "numpy.typing.NDArray[typing.Any]"))
      .def("read_strings", &ReadStrings, nb::arg("name"),
           nb::sig("def read_strings(self, name: bytes) -> list[bytes]"));

  module.def(
      "latest_checkpoint",
      [](const std::string& directory, const std::string& latest_filename, bool verified) {
        const LatestCheckpointOptions options = {.latest_filename = latest_filename,
                                                 .verified = verified};
        return LatestCheckpoint(directory, options);
      },
      nb::arg("directory"), nb::arg("latest_filename"), nb::arg("verified"), WithoutGil());
  module.def("checkpoint_exists", &CheckpointExists, nb::arg("prefix"), WithoutGil());
  module.def(
      "remove_checkpoint", [](const std::string& prefix) { RemoveCheckpoint(prefix); },
      nb::arg("prefix"), WithoutGil());
}

}  // namespace waypost::python
