# The message structs and codecs are written in the build, from the schema folders, before anything that links them.
function(klamm_generate target space)
  set(schema ${CMAKE_SOURCE_DIR}/core/${space}/schema)
  set(output ${CMAKE_BINARY_DIR}/generated/core/${space}/messages)
  set(generator ${CMAKE_SOURCE_DIR}/core/protocol/generate.py)
  file(GLOB schema_files CONFIGURE_DEPENDS ${schema}/*.txt)
  execute_process(COMMAND ${Python3_EXECUTABLE} ${generator} ${space} ${schema} ${output} --list
    OUTPUT_VARIABLE generated COMMAND_ERROR_IS_FATAL ANY)
  add_custom_command(OUTPUT ${generated}
    COMMAND ${Python3_EXECUTABLE} ${generator} ${space} ${schema} ${output}
    DEPENDS ${schema_files} ${generator} ${CMAKE_SOURCE_DIR}/core/protocol/generate_shapes.py
      ${CMAKE_SOURCE_DIR}/core/protocol/schema.py
    COMMENT "Generating core/${space}/messages" VERBATIM)
  target_sources(${target} PRIVATE ${generated})
  # They are few and long as they are.
  set_source_files_properties(${generated} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

klamm_generate(klamm_protocol protocol)
klamm_generate(klamm_metadata metadata)
