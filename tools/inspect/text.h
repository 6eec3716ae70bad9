// Names and numbers as the tool writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace waypost::tool {

using Json = nlohmann::ordered_json;

// Bytes that are no UTF-8 as \xNN, all else as it is: what JSON can hold.
std::string JsonText(std::string_view bytes);
// One line of ASCII, so that nothing in it steers a terminal.
std::string JsonLine(const Json& json);
// The number, or "nan", "inf", "-inf", which JSON's numbers lack.
Json JsonNumber(double value);

std::string EncodeBase64(std::string_view bytes);
// nullopt for what is no base64 with its padding.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace waypost::tool
