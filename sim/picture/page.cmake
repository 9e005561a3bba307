# The page of --html: its parts (page.html, page.css, page.js) become text in the library, so that the command needs no file
# beside it.
set(page ${CMAKE_SOURCE_DIR}/sim/picture/page)
file(READ ${page}.html KLAMM_PAGE_HTML)
file(READ ${page}.css KLAMM_PAGE_STYLE)
file(READ ${page}.js KLAMM_PAGE_SCRIPT)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page}.html ${page}.css ${page}.js)
configure_file(${CMAKE_SOURCE_DIR}/sim/picture/page_text.cc.in
  ${CMAKE_BINARY_DIR}/generated/sim/picture/page_text.cc @ONLY)
target_sources(klamm_sim_picture PRIVATE ${CMAKE_BINARY_DIR}/generated/sim/picture/page_text.cc)
