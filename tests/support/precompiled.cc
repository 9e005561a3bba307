// klamm_test_main needs a source that takes the precompiled header: main.cc does not.
