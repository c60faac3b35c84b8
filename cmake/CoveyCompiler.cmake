# Language level, warnings and sanitizers for every target of this build.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wwrite-strings -Wvla -Wundef
  # The same floating point results from every compiler: the simulator replays by hash.
  -ffp-contract=off
  -fno-common -fstack-protector-strong)
if(COVEY_WERROR)
  add_compile_options(-Werror)
endif()

if(COVEY_SANITIZE)
  add_compile_options(-fsanitize=${COVEY_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${COVEY_SANITIZE})
  if(COVEY_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

# Assertions of internal state stay on in release builds: a broken invariant must stop, not spread.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")

# A call passes through many small functions in many files: together they take a third fewer
# instructions when they are compiled as one and at -O3. Fat objects serve linkers without the plugin.
string(REPLACE "-O2" "-O3" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")
# gcc for x86 clears structs of some hundred bytes by an instruction that takes longer to begin than the
# C library takes for all of them.
include(CheckCCompilerFlag)
check_c_compiler_flag(-mmemset-strategy=libcall:-1:noalign COVEY_HAS_MEMSET_STRATEGY)
if(COVEY_HAS_MEMSET_STRATEGY)
  string(APPEND CMAKE_C_FLAGS_RELWITHDEBINFO " -mmemset-strategy=libcall:-1:noalign")
  string(APPEND CMAKE_C_FLAGS_RELEASE " -mmemset-strategy=libcall:-1:noalign")
endif()
set(COVEY_LTO_OPTIONS "")
if(COVEY_LTO AND CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT COVEY_SANITIZE
   AND CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo)$")
  set(COVEY_LTO_OPTIONS -flto=auto -ffat-lto-objects)
endif()
