# SPDX-License-Identifier: Apache-2.0
#
# Compiles src/cuda/kernels/*.cu for each target and writes a source that embeds the images, CUDA_IMAGE_SOURCE. An image
# is compiled again when its source, a header of the kernels, the compiler or its options changed.

set(NVCC "" CACHE FILEPATH "CUDA's compiler (find.sh finds it); empty builds without CUDA kernels")
# 90a has Hopper's matrix instructions; PTX of the oldest is for devices that no image was built for.
set(CUDA_TARGETS sm_80 sm_86 sm_89 sm_90a sm_100 compute_80 CACHE STRING "What CUDA kernels are compiled for")

set(CUDA_DIR "${CMAKE_CURRENT_BINARY_DIR}/cuda")
set(CUDA_TOOLKIT 0)
set(CUDA_IMAGES "")
if(NVCC)
  execute_process(COMMAND "${NVCC}" --version OUTPUT_VARIABLE NVCC_VERSION COMMAND_ERROR_IS_FATAL ANY)
  if(NOT NVCC_VERSION MATCHES "release ([0-9]+)\\.([0-9]+)")
    message(FATAL_ERROR "${NVCC} --version names no release: ${NVCC_VERSION}")
  endif()
  math(EXPR CUDA_TOOLKIT "${CMAKE_MATCH_1} * 1000 + ${CMAKE_MATCH_2} * 10")  # as cuDriverGetVersion counts
  if(CUDA_TOOLKIT LESS 12000)  # which do not know sm_90a
    message(STATUS "native-op: built without CUDA kernels: ${NVCC} is of CUDA ${CMAKE_MATCH_1}.${CMAKE_MATCH_2}, but it "
        "takes 12.0 or later")
    set(NVCC "")
    set(CUDA_TOOLKIT 0)
  endif()
endif()
if(NVCC)
  execute_process(COMMAND "${NVCC}" --list-gpu-code OUTPUT_VARIABLE NVCC_TARGETS COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^ \n]+" NVCC_TARGETS "${NVCC_TARGETS}")
  get_filename_component(NVCC_FILE "${NVCC}" REALPATH)
  get_filename_component(NVCC_FOLDER "${NVCC_FILE}" DIRECTORY)
  find_path(CUDA_INCLUDE cuda.h HINTS "${NVCC_FOLDER}/../include" NO_CACHE)
  file(GLOB CUDA_KERNELS CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/cuda/kernels/*.cu")
  file(GLOB CUDA_HEADERS CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/cuda/kernels/*.h"
      "${CMAKE_CURRENT_SOURCE_DIR}/src/cuda/kernels/*.cuh")
  # Changes with the compiler, so that images do.
  file(CONFIGURE OUTPUT "${CUDA_DIR}/nvcc.txt" CONTENT "${NVCC}\n${CMAKE_CXX_COMPILER}\n${NVCC_VERSION}" @ONLY)
  foreach(KERNEL IN LISTS CUDA_KERNELS)
    get_filename_component(MODULE "${KERNEL}" NAME_WE)
    foreach(ARCHITECTURE IN LISTS CUDA_TARGETS)
      string(REGEX REPLACE "a$" "" LISTED "${ARCHITECTURE}")  # the list leaves out the forms of one architecture
      string(REPLACE "compute_" "sm_" LISTED "${LISTED}")
      if(NOT LISTED IN_LIST NVCC_TARGETS)
        message(STATUS "${NVCC} does not know ${ARCHITECTURE}")
        continue()
      endif()
      if(ARCHITECTURE MATCHES "^compute_")
        set(IMAGE "${CUDA_DIR}/${MODULE}.${ARCHITECTURE}.ptx")
      else()
        set(IMAGE "${CUDA_DIR}/${MODULE}.${ARCHITECTURE}.cubin")
      endif()
      add_custom_command(OUTPUT "${IMAGE}" "${IMAGE}.txt"
          COMMAND bash "${CMAKE_CURRENT_SOURCE_DIR}/compile_kernel.sh" "${NVCC}" "${CMAKE_CXX_COMPILER}" "${KERNEL}"
              "${ARCHITECTURE}" "${IMAGE}"
          DEPENDS "${KERNEL}" ${CUDA_HEADERS} "${CMAKE_CURRENT_SOURCE_DIR}/compile_kernel.sh" "${CUDA_DIR}/nvcc.txt"
          COMMENT "Compiling CUDA kernels ${MODULE} for ${ARCHITECTURE}" VERBATIM)
      list(APPEND CUDA_IMAGES "${IMAGE}")
    endforeach()
  endforeach()
endif()

# Reports of kernels that are no more, which registers.sh would still read.
file(GLOB CUDA_REPORTS "${CUDA_DIR}/*.txt")
foreach(REPORT IN LISTS CUDA_REPORTS)
  string(REGEX REPLACE "\\.txt$" "" IMAGE "${REPORT}")
  if(IMAGE MATCHES "\\.(cubin|ptx)$" AND NOT IMAGE IN_LIST CUDA_IMAGES)
    file(REMOVE "${REPORT}" "${IMAGE}")
  endif()
endforeach()

set(DATA "")
set(DECLARATIONS "")
set(ENTRIES "")
list(LENGTH CUDA_IMAGES CUDA_IMAGE_COUNT)
foreach(IMAGE IN LISTS CUDA_IMAGES)
  list(FIND CUDA_IMAGES "${IMAGE}" INDEX)
  get_filename_component(NAME "${IMAGE}" NAME)
  string(REGEX REPLACE "^(.*)\\.([^.]*)\\.(cubin|ptx)$" "\\1;\\2" PARTS "${NAME}")
  list(GET PARTS 0 MODULE)
  list(GET PARTS 1 ARCHITECTURE)
  # PTX is text that must end with a zero.
  string(APPEND DATA "    .balign 64\n    .globl djl_lora_image_${INDEX}\n    .hidden djl_lora_image_${INDEX}\n"
      "djl_lora_image_${INDEX}:\n    .incbin \"${IMAGE}\"\n    .byte 0\n    .globl djl_lora_image_end_${INDEX}\n"
      "    .hidden djl_lora_image_end_${INDEX}\ndjl_lora_image_end_${INDEX}:\n")
  string(APPEND DECLARATIONS "extern const unsigned char djl_lora_image_${INDEX}[];\n"
      "extern const unsigned char djl_lora_image_end_${INDEX}[];\n")
  string(APPEND ENTRIES
      "    {\"${MODULE}\", \"${ARCHITECTURE}\", djl_lora_image_${INDEX}, djl_lora_image_end_${INDEX}},\n")
endforeach()
set(TABLE "// Written by cuda.cmake.\n#include \"cuda/images.h\"\n\n")
if(CUDA_IMAGES)
  string(APPEND TABLE "__asm__(R\"(\n    .pushsection .rodata\n${DATA}    .popsection\n)\");\n\n"
      "extern \"C\" {\n${DECLARATIONS}}\n\nnamespace djl_lora {\n\nstatic const Image kImages[] = {\n${ENTRIES}};\n"
      "const ImageTable& EmbeddedImages() {\n  static const ImageTable table{kImages, ${CUDA_IMAGE_COUNT}, "
      "${CUDA_TOOLKIT}};\n")
else()
  string(APPEND TABLE "namespace djl_lora {\n\nconst ImageTable& EmbeddedImages() {\n"
      "  static const ImageTable table{nullptr, 0, 0};\n")
endif()
string(APPEND TABLE "  return table;\n}\n\n}  // namespace djl_lora\n")
set(CUDA_IMAGE_SOURCE "${CUDA_DIR}/images_data.cc")
file(CONFIGURE OUTPUT "${CUDA_IMAGE_SOURCE}" CONTENT "${TABLE}" @ONLY)
set_source_files_properties("${CUDA_IMAGE_SOURCE}" PROPERTIES OBJECT_DEPENDS "${CUDA_IMAGES}")
