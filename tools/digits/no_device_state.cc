#include "digits/device_state.h"
#include "waypost/error.h"

namespace waypost::digits {

std::unique_ptr<DeviceState> MakeDeviceState(const std::string& device) {
  throw Error(Code::kUnavailable, device + ": this program was built without CUDA");
}

}  // namespace waypost::digits
