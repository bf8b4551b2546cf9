pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}
dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        // Made by cmake --build build/android --target tied_aar in tied's root folder.
        maven { url = uri("../../build/android/repository") }
        google()
        mavenCentral()
    }
}
rootProject.name = "tied-example"
include(":app")
