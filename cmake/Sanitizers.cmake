# -DWAYPOST_SANITIZE=address,undefined or =thread puts every target under those sanitizers.
if(WAYPOST_SANITIZE)
  set(sanitize_options -fsanitize=${WAYPOST_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${sanitize_options}>")
  add_link_options(-fsanitize=${WAYPOST_SANITIZE})
endif()
