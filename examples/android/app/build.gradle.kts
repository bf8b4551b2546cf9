plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "dev.tied.example"
    compileSdk = 35
    defaultConfig {
        applicationId = "dev.tied.example"
        minSdk = 28
        targetSdk = 35
        versionCode = 1
        versionName = "0.1.0"
        ndk { abiFilters += "arm64-v8a" }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    kotlinOptions { jvmTarget = "17" }
}

dependencies {
    // Built with cmake --build build/android --target tied_aar in tied's root folder.
    implementation(files("../../../build/android/tied-0.1.0.aar"))
}
