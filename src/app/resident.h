#pragma once
// Memory that start-up needed and running does not.

namespace belay::app {

// Gives the program's own code pages back to the kernel: they are clean and come back from the page
// cache when they run. What start-up executed once (configuration, database set-up, certificates)
// thereby stops counting as resident. Memory that was freed meanwhile goes back too.
void release_startup_memory();

}  // namespace belay::app
