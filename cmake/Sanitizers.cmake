# -DWAYPOST_SANITIZE=address,undefined or =thread puts every target under those sanitizers.
if(WAYPOST_SANITIZE)
  add_compile_options(-fsanitize=${WAYPOST_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${WAYPOST_SANITIZE})
endif()
